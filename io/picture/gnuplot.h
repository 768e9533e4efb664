/* Pictures by gnuplot, from a script with the data in it. */
#ifndef DTRAIN_IO_GNUPLOT_H
#define DTRAIN_IO_GNUPLOT_H

#include "dtrain/picture/plot.h"

/* Writes the whole script. */
typedef void dt_gnuplot_script(FILE *script, dt_picture picture, const void *what);

/* As dt_plot_write, for any script. */
dt_status dt_gnuplot_draw(const char *path, dt_gnuplot_script *write, const void *what);

/* ---- parts of a script ---- */

/* The kind of picture and its size in pixels. */
void dt_gnuplot_terminal(FILE *script, dt_picture picture, int width, int height);

/* A text between quotes; only its end if it has more characters than that. */
void dt_gnuplot_title(FILE *script, const char *title, size_t characters);

#endif
