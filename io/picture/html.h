/* Parts of pages in HTML. */
#ifndef DTRAIN_IO_HTML_H
#define DTRAIN_IO_HTML_H

#include <stdio.h>

#include "figure.h"

/* A text as such, also between double quotes: nothing in it is markup. What no page may hold
 * becomes U+FFFD. */
void dt_html_text(FILE *out, const char *text);

/* One panel of a figure as a chart: an SVG between its axes, with the values for the script. */
void dt_html_chart(FILE *out, const dt_figure *figure, dt_panel_kind which);

#endif
