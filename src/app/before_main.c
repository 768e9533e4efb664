/* Runs before the constructors of the libraries: OpenBLAS maps 128 MiB for each of its threads in
 * its constructor, and tries for ever where a limit of address space is in the way.
 *
 * Source: ELF, DT_PREINIT_ARRAY. The C library is not initialised yet: no environment but the one
 * passed, and system calls rather than streams.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#if defined(__linux__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)

#define ONE_THREAD "OPENBLAS_NUM_THREADS=1"

enum { VARIABLES_MAX = 4096, BUFFER = 136 << 20 };

static _Noreturn void refuse(double limit) {
    char text[256];
    const int length = snprintf(
        text, sizeof text,
        "dtrain: error: out of memory: the address space is limited to %.0f MB, which is less than "
        "the libraries of dtrain need; raise the limit (ulimit -v)\n",
        limit / 1e6);
    const ssize_t written = write(STDERR_FILENO, text, (size_t)length);
    (void)written;
    _exit(EX_OSERR);
}

/* Start the program again with one thread of OpenBLAS, which is what dtrain uses. Returns if that
 * is so already, or cannot be done. */
static void use_one_thread(char **argument, char **environment) {
    static const size_t name = sizeof "OPENBLAS_NUM_THREADS=" - 1;
    static char own[] = ONE_THREAD, path[4096];
    static char *changed[VARIABLES_MAX + 2];
    size_t count = 0;
    for (char **each = environment; *each; each++) {
        if (strcmp(*each, ONE_THREAD) == 0 || count == VARIABLES_MAX) return;
        if (strncmp(*each, ONE_THREAD, name) != 0) changed[count++] = *each;
    }
    changed[count] = own;
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length > 0) execve(path, argument, changed);
}

static void before_libraries(int count, char **argument, char **environment) {
    (void)count;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    use_one_thread(argument, environment);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *memory = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) refuse((double)limit.rlim_cur);
    munmap(memory, BUFFER);
}

__attribute__((section(".preinit_array"),
               used)) static void (*const first)(int, char **, char **) = before_libraries;

#endif
