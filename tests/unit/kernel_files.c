/* Files as the kernel shows them, in a folder of the test's own. */
#include "kernel_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

void kernel_file_put(const char *base, const char *folder, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", base, folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/%s/%s", base, folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}
