/* A checkpoint is read as it was written, bit by bit; every damage, mistake or full disk is
 * noticed. */
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

typedef struct {
    char folder[256], path[300], other[300];
    dt_checkpoint checkpoint;
    unsigned char *bytes; /* of the file at `path`, as it was written */
    size_t size;
} scene;

static int set_up(void **state) {
    scene *s = calloc(1, sizeof *s);
    fixture_folder(s->folder);
    snprintf(s->path, sizeof s->path, "%s/checkpoint-00000012.h5", s->folder);
    snprintf(s->other, sizeof s->other, "%s/other.h5", s->folder);
    fixture_create(&s->checkpoint, FIXTURE_SMALL);
    if (dt_checkpoint_write(s->path, &s->checkpoint) != DT_OK) return 1;
    s->bytes = fixture_load(&s->size, s->path);
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    scene *s = *state;
    dt_checkpoint_destroy(&s->checkpoint);
    fixture_remove(s->folder);
    free(s->bytes);
    free(s);
    return 0;
}

static dt_status try_read(const char *path) {
    dt_checkpoint checkpoint;
    const dt_status status = dt_checkpoint_read(&checkpoint, path, DT_READ_ALL);
    dt_checkpoint_destroy(&checkpoint);
    return status;
}

/* The file of the scene is as it was, and nothing else is in the folder. */
static void assert_untouched(const scene *s, size_t files) {
    size_t size;
    unsigned char *bytes = fixture_load(&size, s->path);
    assert_int_equal(size, s->size);
    assert_memory_equal(bytes, s->bytes, size);
    free(bytes);
    assert_int_equal(fixture_files(s->folder), files);
}

static void assert_says(const char *words) {
    if (!strstr(dt_error_text(), words))
        fail_msg("\"%s\" does not say \"%s\"", dt_error_text(), words);
}

/* ---- reading what was written ---- */

static void test_round_trip(void **state) {
    const scene *s = *state;
    dt_checkpoint read;
    assert_int_equal(dt_checkpoint_read(&read, s->path, DT_READ_ALL), DT_OK);
    assert_true(fixture_equal(&read, &s->checkpoint));
    dt_checkpoint_destroy(&read);
    assert_null(read.weights);
    assert_int_equal(fixture_files(s->folder), 1);
}

static void test_depths(void **state) {
    const scene *s = *state;
    dt_checkpoint read;
    assert_int_equal(dt_checkpoint_read(&read, s->path, DT_READ_SUMMARY), DT_OK);
    assert_null(read.weights);
    assert_int_equal(read.state.step, 12);
    assert_int_equal(read.metrics->train_count, 12);
    dt_checkpoint_destroy(&read);
    assert_int_equal(dt_checkpoint_read(&read, s->path, DT_READ_WEIGHTS), DT_OK);
    assert_memory_equal(read.weights, s->checkpoint.weights, read.layout.count * sizeof(float));
    assert_null(read.m);
    assert_null(read.v);
    assert_null(read.iterate);
    dt_checkpoint_destroy(&read);
}

static void test_without_metrics(void **state) {
    scene *s = *state;
    dt_metrics_clear(s->checkpoint.metrics);
    assert_int_equal(dt_checkpoint_write(s->other, &s->checkpoint), DT_OK);
    dt_checkpoint read;
    assert_int_equal(dt_checkpoint_read(&read, s->other, DT_READ_ALL), DT_OK);
    assert_true(fixture_equal(&read, &s->checkpoint));
    dt_checkpoint_destroy(&read);
}

/* The same contents give the same bytes, except for the time of writing (in seconds) and the digest
 * over it. */
static void test_same_contents_same_bytes(void **state) {
    const scene *s = *state;
    enum { SECOND = 20, DIGEST = 32 };
    const struct timespec next_second = {1, 10000000};
    nanosleep(&next_second, NULL);
    assert_int_equal(dt_checkpoint_write(s->other, &s->checkpoint), DT_OK);
    size_t size, different = 0;
    unsigned char *bytes = fixture_load(&size, s->other);
    assert_int_equal(size, s->size);
    for (size_t i = 0; i < size; i++) different += bytes[i] != s->bytes[i];
    free(bytes);
    assert_in_range(different, 1, SECOND + DIGEST);
}

/* ---- damage ---- */

static void test_truncated(void **state) {
    const scene *s = *state;
    for (size_t length = 0; length < s->size; length += length < 3000 ? 13 : 1009) {
        fixture_store(s->other, s->bytes, length);
        assert_int_equal(try_read(s->other), DT_ERR_DATA);
        assert_says(s->other);
    }
    unsigned char *longer = calloc(1, s->size + 1);
    memcpy(longer, s->bytes, s->size);
    fixture_store(s->other, longer, s->size + 1);
    free(longer);
    assert_int_equal(try_read(s->other), DT_ERR_DATA);
    assert_says("goes on after its end");
}

/* Reading a damaged file gives an error that names it, or the same contents. */
static bool survives(const scene *s) {
    dt_checkpoint read;
    const dt_status status = dt_checkpoint_read(&read, s->other, DT_READ_ALL);
    if (status == DT_OK) {
        assert_true(fixture_equal(&read, &s->checkpoint));
    } else {
        assert_int_equal(status, DT_ERR_DATA);
        assert_says(s->other);
    }
    dt_checkpoint_destroy(&read);
    return status == DT_OK;
}

static void test_flipped_bits(void **state) {
    const scene *s = *state;
    enum { FLIPS = 2000 };
    size_t harmless = 0;
    unsigned char *damaged = malloc(s->size);
    for (size_t i = 0; i < FLIPS; i++) {
        const size_t at = i * s->size / FLIPS + i % 7;
        memcpy(damaged, s->bytes, s->size);
        damaged[at % s->size] ^= (unsigned char)(1u << i % 8);
        fixture_store(s->other, damaged, s->size);
        harmless += survives(s);
    }
    free(damaged);
    print_message("%d bits flipped: %zu noticed, %zu between the parts without effect\n", FLIPS,
                  FLIPS - harmless, harmless);
    assert_true(harmless < FLIPS);
}

/* Every flipped bit of a tensor is noticed. */
static void test_flipped_weights(void **state) {
    const scene *s = *state;
    const dt_checkpoint *c = &s->checkpoint;
    const struct {
        const void *block;
        const char *part;
    } tensor[] = {{c->weights, "/weights/tok_embed"},
                  {c->m, "/optimizer/m/tok_embed"},
                  {c->v, "/optimizer/v/tok_embed"},
                  {c->iterate, "/optimizer/iterate/tok_embed"}};
    for (size_t i = 0; i < 4; i++) {
        size_t at = 0;
        while (memcmp(s->bytes + at, tensor[i].block, 32) != 0) at++;
        unsigned char *damaged = malloc(s->size);
        memcpy(damaged, s->bytes, s->size);
        damaged[at + 5] ^= 1;
        fixture_store(s->other, damaged, s->size);
        free(damaged);
        assert_int_equal(try_read(s->other), DT_ERR_DATA);
        assert_says(tensor[i].part);
    }
}

/* Structures that point at random, at themselves or at each other. */
static void test_wild_pointers(void **state) {
    const scene *s = *state;
    enum { FILES = 600, CHANGES = 4 };
    unsigned char *damaged = malloc(s->size);
    uint64_t random = 1;
    for (size_t i = 0; i < FILES; i++) {
        memcpy(damaged, s->bytes, s->size);
        for (size_t k = 0; k < CHANGES; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            const size_t at = (random >> 20) % (s->size / 8) * 8;
            const uint64_t value[] = {(random >> 33) % s->size, at, UINT64_MAX,
                                      (random >> 40) % 64};
            memcpy(damaged + at, &value[i % 4], 8);
        }
        fixture_store(s->other, damaged, s->size);
        survives(s);
    }
    free(damaged);
}

/* ---- files of other programs ---- */

static void test_foreign(void **state) {
    const scene *s = *state;
    const hid_t newest = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(newest, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    const hid_t access[] = {H5P_DEFAULT, newest};
    for (size_t i = 0; i < 2; i++) {
        const hid_t file = H5Fcreate(s->other, H5F_ACC_TRUNC, H5P_DEFAULT, access[i]);
        H5Gclose(H5Gcreate2(file, "weights", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        H5Fclose(file);
        assert_int_equal(try_read(s->other), DT_ERR_DATA);
        assert_says(i ? "an HDF5 file that dtrain did not write" : "not a checkpoint of dtrain");
    }
    H5Pclose(newest);
    fixture_store(s->other, "[run]\nseed = 1\n", 15);
    assert_int_equal(try_read(s->other), DT_ERR_DATA);
    assert_says("not an HDF5 file");
    fixture_store(s->other, "", 0);
    assert_int_equal(try_read(s->other), DT_ERR_DATA);
    assert_says("empty");
}

static void test_no_file(void **state) {
    const scene *s = *state;
    char path[300];
    snprintf(path, sizeof path, "%s/none.h5", s->folder);
    assert_int_equal(try_read(path), DT_ERR_NO_INPUT);
    assert_says("there is no such file");
    assert_int_equal(try_read(s->folder), DT_ERR_NO_INPUT);
    assert_says("it is a folder");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(try_read(path), DT_ERR_NO_INPUT); /* and does not wait for a writer */
    assert_says("not a regular file");
}

/* ---- failures of writing ---- */

static void test_not_finite(void **state) {
    scene *s = *state;
    float *const block[] = {s->checkpoint.weights, s->checkpoint.m, s->checkpoint.v,
                            s->checkpoint.iterate};
    const float wrong[] = {NAN, INFINITY, -INFINITY, NAN};
    const dt_parameter *last = &s->checkpoint.layout.parameter[s->checkpoint.layout.parameters - 1];
    for (size_t i = 0; i < 4; i++) {
        float *value = block[i] + last->offset + 3;
        const float right = *value;
        *value = wrong[i];
        assert_int_equal(dt_checkpoint_write(s->path, &s->checkpoint), DT_ERR_DATA);
        assert_says("final_norm/bias");
        assert_says("element 3");
        *value = right;
        assert_untouched(s, 1);
    }
}

static int questions;

static bool tenth_time(void) { return ++questions > 10; }

/* Writing is abandoned half-way: only the old file remains. */
static void test_needless(void **state) {
    scene *s = *state;
    questions = 0;
    assert_int_equal(dt_checkpoint_write_unless(s->path, &s->checkpoint, tenth_time),
                     DT_ERR_STOPPED);
    assert_int_equal(questions, 11);
    assert_untouched(s, 1);
}

static void test_no_folder(void **state) {
    scene *s = *state;
    char path[2 * DT_PATH_MAX];
    snprintf(path, sizeof path, "%s/none/x.h5", s->folder);
    assert_int_equal(dt_checkpoint_write(path, &s->checkpoint), DT_ERR_CREATE);
    assert_says("the folder is not there");
    snprintf(path, sizeof path, "%s/x.h5", s->path);
    assert_int_equal(dt_checkpoint_write(path, &s->checkpoint), DT_ERR_CREATE);
    assert_says("a file where a folder is needed");
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(dt_checkpoint_write(path, &s->checkpoint), DT_ERR_CREATE);
    assert_says("too long");
    assert_int_equal(mkdir(s->other, 0700), 0);
    assert_int_equal(dt_checkpoint_write(s->other, &s->checkpoint), DT_ERR_CREATE);
    assert_says("a folder of that name is in the way");
    assert_untouched(s, 2);
}

/* Runs the function in a child process; returns 0 if it succeeded. */
static int in_child(int (*run)(scene *), scene *s) {
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) exit(run(s)); /* exit, not _exit: HDF5 must be able to close down */
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) fail_msg("the process died of signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int write_unprivileged(scene *s) {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) return 2;
    if (dt_checkpoint_write(s->path, &s->checkpoint) != DT_ERR_CREATE) return 1;
    return strstr(dt_error_text(), "no permission") ? 0 : 3;
}

static void test_no_permission(void **state) {
    scene *s = *state;
    assert_int_equal(chmod(s->folder, 0555), 0);
    const int result = in_child(write_unprivileged, s);
    chmod(s->folder, 0700);
    assert_int_equal(result, 0);
    assert_untouched(s, 1);
}

/* The limit makes HDF5 fail in every kind of write; afterwards the same process writes a complete
 * file. */
static int write_limited(scene *s) {
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    for (size_t most = 0; most < s->size; most += 1 + s->size / 60) {
        limit.rlim_cur = most;
        setrlimit(RLIMIT_FSIZE, &limit);
        if (dt_checkpoint_write(s->path, &s->checkpoint) != DT_ERR_IO) return 1;
        if (!strstr(dt_error_text(), "larger than is allowed")) return 2;
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
    return dt_checkpoint_write(s->other, &s->checkpoint) == DT_OK ? 0 : 3;
}

static void test_size_limit(void **state) {
    scene *s = *state;
    assert_int_equal(in_child(write_limited, s), 0);
    assert_untouched(s, 2);
    assert_int_equal(try_read(s->other), DT_OK);
}

/* A disk of a few pages, if this process may mount one. */
static void test_full_disk(void **state) {
    scene *s = *state;
    char disk[300], path[340], options[64];
    snprintf(disk, sizeof disk, "%s/disk", s->folder);
    snprintf(path, sizeof path, "%s/x.h5", disk);
    /* Room for one and a half files: the old one stays, the new one does not fit beside it. */
    snprintf(options, sizeof options, "size=%zuk", (s->size + s->size / 2) / 1024);
    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, options) != 0) {
        print_message("SKIPPED: needs ability mounts\n");
        skip();
    }
    const dt_status first = dt_checkpoint_write(path, &s->checkpoint);
    const dt_status second = dt_checkpoint_write(path, &s->checkpoint);
    char reason[512];
    snprintf(reason, sizeof reason, "%s", dt_error_text());
    const dt_status read = try_read(path);
    const size_t files = fixture_files(disk);
    umount(disk);
    assert_int_equal(first, DT_OK);
    assert_int_equal(second, DT_ERR_IO);
    assert_non_null(strstr(reason, "the disk is full"));
    assert_int_equal(read, DT_OK);
    assert_int_equal(files, 1);
}

int main(void) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),      TEST(test_depths),
        TEST(test_without_metrics), TEST(test_same_contents_same_bytes),
        TEST(test_truncated),       TEST(test_flipped_bits),
        TEST(test_flipped_weights), TEST(test_wild_pointers),
        TEST(test_foreign),         TEST(test_no_file),
        TEST(test_not_finite),      TEST(test_no_folder),
        TEST(test_needless),        TEST(test_no_folder),
        TEST(test_no_permission),   TEST(test_size_limit),
        TEST(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
