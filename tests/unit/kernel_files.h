/* Files as the kernel shows them, in a folder of the test's own. */
#ifndef KERNEL_FILES_H
#define KERNEL_FILES_H

/* Write BASE/FOLDER/NAME; the folder is created. */
void kernel_file_put(const char *base, const char *folder, const char *name, const char *text);

#endif
