/* Draws pictures with gnuplot, without a shell, from a script that includes the data. */
#define _GNU_SOURCE /* memfd_create */
#include "gnuplot.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtrain/core/log.h"
#include "dtrain/file/child.h"
#include "dtrain/file/replace.h"
#include "figure.h"

/* ---- text in a script ---- */

/* Bytes of the UTF-8 character at the start of a text; 0 if XML cannot hold it. */
static size_t character(const char *text) {
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] >= ' ' && c[0] < 0x7f) return 1;
    size_t more = c[0] >= 0xf0 ? 3 : c[0] >= 0xe0 ? 2 : 1;
    if (c[0] < 0xc2 || c[0] > 0xf4) return 0;
    unsigned long code = c[0] & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((c[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (c[i] & 0x3f);
    }
    static const unsigned long least[] = {0, 0x80, 0x800, 0x10000};
    const bool lone = code >= 0xd800 && code <= 0xdfff, control = code < 0xa0;
    const bool allowed = code >= least[more] && code <= 0x10ffff && !lone && !control;
    return allowed && code != 0xfffe && code != 0xffff ? more + 1 : 0;
}

/* Between single quotes gnuplot changes nothing, and reads a doubled quote as one. */
void dt_gnuplot_title(FILE *script, const char *title, size_t characters) {
    const char *text = dt_title_part(title, characters);
    fputs(text == title ? "'" : "'...", script);
    while (*text) {
        const size_t bytes = character(text);
        if (*text == '\'') fputc('\'', script);
        if (bytes) {
            fwrite(text, 1, bytes, script);
        } else {
            fputc('?', script);
        }
        text += bytes ? bytes : 1;
    }
    fputc('\'', script);
}

void dt_gnuplot_terminal(FILE *script, dt_picture picture, int width, int height) {
    fprintf(script, "set encoding utf8\n");
    if (picture == DT_PICTURE_SVG) {
        fprintf(script,
                "set terminal svg size %d,%d dynamic noenhanced font 'sans-serif,14' "
                "background '#ffffff'\n",
                width, height);
    } else {
        /* The cairo terminal draws smoother lines, but is not built into every gnuplot. */
        fprintf(script,
                "if (strstrt(GPVAL_TERMINALS, ' pngcairo ') > 0) {\n"
                "set terminal pngcairo size %d,%d noenhanced font 'sans,11' background '#ffffff'\n"
                "} else {\nset terminal png size %d,%d noenhanced\n}\n",
                width, height, width, height);
    }
}

/* ---- drawing ---- */

dt_status dt_plot_picture(dt_picture *picture, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *end = strrchr(name, '.');
    const bool svg = end && end != name && strcmp(end, ".svg") == 0;
    const bool png = end && end != name && strcmp(end, ".png") == 0;
    DT_REQUIRE(svg || png, DT_ERR_ARG,
               "%s: pictures are drawn as SVG or PNG; let the name end in .svg or .png", path);
    *picture = svg ? DT_PICTURE_SVG : DT_PICTURE_PNG;
    return DT_OK;
}

static dt_status run_gnuplot(FILE *script, const dt_replacement *out) {
    /* -d: without the user's own settings, which could change the picture. */
    static const char *const argument[] = {"gnuplot", "-d", NULL};
    dt_child child;
    char text[128];
    const int error = dt_child_run(&child, argument, fileno(script), out->file);
    DT_REQUIRE(error != ENOENT && error != EACCES && error != ENOTDIR, DT_ERR_UNAVAILABLE,
               "gnuplot was not found: install it (the package gnuplot-nox of Debian and Ubuntu, "
               "elsewhere gnuplot), or draw in the terminal with --ascii");
    DT_REQUIRE(!error, DT_ERR_UNAVAILABLE, "gnuplot could not be started: %s",
               dt_file_reason(error, text));
    if (*child.said) dt_log_debug("gnuplot said: %s", child.said);
    DT_REQUIRE(!child.signal, DT_ERR_UNAVAILABLE, "gnuplot was ended by signal %d (%s)%s%s",
               child.signal, strsignal(child.signal), *child.said ? "; it said: " : "", child.said);
    struct stat info;
    const bool drawn = fstat(out->file, &info) == 0 && info.st_size > 0;
    DT_REQUIRE(child.exit_code == 0 && drawn, DT_ERR_UNAVAILABLE,
               "gnuplot did not draw %s (exit code %d): %s", out->path, child.exit_code,
               *child.said ? child.said : "it gave no reason");
    return DT_OK;
}

/* An unnamed file: in memory, since /tmp may be full or read-only; NULL and errno. */
static FILE *open_script(void) {
    const int memory = memfd_create("gnuplot script", MFD_CLOEXEC);
    FILE *script = memory >= 0 ? fdopen(memory, "w+") : NULL;
    if (script) return script;
    if (memory >= 0) close(memory);
    return tmpfile();
}

/* From an open file rather than a pipe: gnuplot may end early without a SIGPIPE here. */
static dt_status draw(const dt_replacement *out, dt_picture picture, dt_gnuplot_script *write,
                      const void *what) {
    char text[128];
    dt_status status = DT_OK;
    FILE *script = open_script();
    DT_REQUIRE(script, DT_ERR_CREATE, "no temporary file for gnuplot can be created: %s",
               dt_file_reason(errno, text));
    write(script, picture, what);
    errno = EIO;
    DT_REQUIRE_DONE(fflush(script) == 0 && !ferror(script) &&
                        lseek(fileno(script), 0, SEEK_SET) == 0,
                    DT_ERR_IO, "the temporary file for gnuplot cannot be written: %s",
                    dt_file_reason(errno, text));
    DT_TRY_DONE(run_gnuplot(script, out));
done:
    fclose(script);
    return status;
}

dt_status dt_gnuplot_draw(const char *path, dt_gnuplot_script *write, const void *what) {
    dt_picture picture = DT_PICTURE_SVG;
    dt_replacement out = {.file = -1};
    dt_status status;
    DT_TRY(dt_plot_picture(&picture, path));
    DT_TRY_DONE(dt_replacement_open(&out, path));
    DT_TRY_DONE(draw(&out, picture, write, what));
    DT_TRY_DONE(dt_replacement_sync(&out));
    DT_TRY_DONE(dt_replacement_commit(&out));
done:
    dt_replacement_discard(&out);
    return status;
}
