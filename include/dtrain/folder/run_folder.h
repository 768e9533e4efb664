/* The folder of a run: its lock, its checkpoints by name, its links and its log. */
#ifndef DTRAIN_RUN_FOLDER_H
#define DTRAIN_RUN_FOLDER_H

#include <stdint.h>

#include "dtrain/core/config.h"

/* Make the folder (and its parents) and see that files can be written in it. DT_ERR_CREATE. */
dt_status dt_run_folder_open(const char *folder);

/* Remove a folder in which nothing is: a start that was refused has made it. */
void dt_run_folder_discard(const char *folder);

/* Keeps other processes from training in the same folder. */
typedef struct dt_run_lock dt_run_lock;

/**
 * Lock a folder that is there, until release or the end of the process, however that ends. Waits
 * some seconds for an owner that is just ending.
 *
 * @param ranks  written to the file, for the message that another process prints
 * @return DT_ERR_CREATE naming the host and process that trains there
 * Starts a thread. Collective: no; rank 0 calls it. Readers need no lock.
 */
dt_status dt_run_lock_take(dt_run_lock **lock, const char *folder, size_t ranks);
void dt_run_lock_release(dt_run_lock **lock);

/* Whether there is a lock in the folder, of a living process or not. */
bool dt_run_is_locked(const char *folder);

/* FOLDER/checkpoint-00001200.h5 */
dt_status dt_run_checkpoint_path(char *path, size_t size, const char *folder, int64_t step);

/* The step numbers of the checkpoints in a folder, newest first; allocated: dt_memory_free. None is
 * not an error. */
dt_status dt_run_checkpoints(int64_t **steps, size_t *count, const char *folder);

/* Whether FOLDER/name is a checkpoint by its name, or a link to one beside it. */
bool dt_run_owns(const char *folder, const char *name);

/* Let FOLDER/name (latest.h5, best.h5) point to the checkpoint of a step, in one atomic step. Where
 * symbolic links cannot be made, a text stands for the link: latest.txt, best.txt, with the name of
 * the checkpoint. Another file of that name is set aside, unless it is a copy of a checkpoint. */
dt_status dt_run_link(const char *folder, const char *name, int64_t step);

/* Let latest.h5 and best.h5 point to the checkpoints of these steps, where they do not yet; best
   -1, or the step of a file that is not there: best.h5 stays as it is. */
dt_status dt_run_links(const char *folder, int64_t latest, int64_t best);

/* Copy a checkpoint from elsewhere into the folder, as that of its step. */
dt_status dt_run_bring(const char *folder, int64_t step, const char *from);

/* Whether symbolic links can be made in the folder. */
bool dt_run_links_work(const char *folder);

/* Remove the link FOLDER/name and the text that stands for it. DT_ERR_IO. */
dt_status dt_run_unlink(const char *folder, const char *name);

/* The path of the file that FOLDER/name stands for: itself, or the checkpoint that its text names.
 * false: there is none. */
bool dt_run_find(char *path, size_t size, const char *folder, const char *name);

/* Whether the link, or the text that stands for it, names something that is not there. */
bool dt_run_dangles(const char *folder, const char *name);

/* Take the newest checkpoint, which is on the disk, out of the page cache: the next one needs as
 * many pages, and on some machines new ones are slow to come. */
void dt_run_uncache(const char *folder);

/* Remove all but the newest `keep` checkpoints; what a symbolic link or a .txt file of the
 * folder names stays: latest.h5, best.h5, and those that a person has pinned so. keep 0: keep all.
 */
dt_status dt_run_rotate(const char *folder, int64_t keep);

/**
 * The file that a person means: a checkpoint file itself, or a run folder (its best.h5, or else the
 * newest).
 * @return DT_ERR_NO_INPUT with what was looked for
 */
dt_status dt_run_resolve(char *path, size_t size, const char *name);

/* Rename a file or folder to a name beside it that is free: best.h5.20260131-120000. DT_ERR_CREATE.
 */
dt_status dt_run_set_aside(char *aside, size_t size, const char *path);

/* Whether a folder of that name is there. */
bool dt_is_folder(const char *path);

/* The folder that a file is in: "." where the path names none. DT_ERR_CREATE if it is too long. */
dt_status dt_run_folder_of(char *folder, size_t size, const char *path);

/* Write text to FOLDER/name, whole or not at all. */
dt_status dt_run_write_text(const char *folder, const char *name, const char *text);

/* Append one line to FOLDER/log.jsonl. */
dt_status dt_run_append_log(const char *folder, const char *line);

/* The newest number that FOLDER/log.jsonl has under this key; NaN: there is none near its end. */
void dt_run_log_last(double *value, const char *folder, const char *key);

#endif
