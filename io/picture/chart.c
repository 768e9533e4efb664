/* Draws a panel of a figure as HTML: labels are HTML, so that they keep their size where a page is
 * narrow, and curves are an SVG that is stretched between them. */
#include <math.h>

#include "html.h"

/* Units of the SVG from edge to edge. */
static const double EXTENT = 1000;

static double across(const dt_figure *figure, double step) {
    return EXTENT * dt_axis_position(&figure->x, step);
}

/* Values far outside would make long numbers. */
static double down(const dt_panel *panel, double value) {
    const double position = dt_axis_position(&panel->y, value);
    return EXTENT * (1 - fmin(fmax(position, -1), 2));
}

static bool is_shown(const dt_panel *panel, const dt_point *point) {
    return isfinite(dt_axis_position(&panel->y, point->mean));
}

/* ---- curves ---- */

static void write_line(FILE *out, const dt_figure *figure, const dt_panel *panel,
                       const dt_curve *curve) {
    bool drawing = false;
    fprintf(out, "<path class=\"line\" d=\"");
    for (size_t i = 0; i < curve->points; i++) {
        const dt_point *p = &curve->point[i];
        const bool shown = is_shown(panel, p);
        if (shown) {
            fprintf(out, "%c%.1f %.1f", drawing ? 'L' : 'M', across(figure, p->step),
                    down(panel, p->mean));
        }
        drawing = shown;
    }
    fprintf(out, "\"/>");
}

/* Points as lines of no length, whose ends are round. */
static void write_dots(FILE *out, const dt_figure *figure, const dt_panel *panel,
                       const dt_curve *curve) {
    fprintf(out, "<path class=\"dots\" d=\"");
    for (size_t i = 0; i < curve->points; i++) {
        const dt_point *p = &curve->point[i];
        if (is_shown(panel, p))
            fprintf(out, "M%.1f %.1fh0", across(figure, p->step), down(panel, p->mean));
    }
    fprintf(out, "\"/>");
}

/* From the most to the least of each point. */
static void write_band(FILE *out, const dt_figure *figure, const dt_panel *panel,
                       const dt_curve *curve) {
    fprintf(out, "<path class=\"band\" d=\"");
    for (size_t i = 0, end; i < curve->points; i = end + 1) {
        for (end = i; end < curve->points && is_shown(panel, &curve->point[end]);) end++;
        for (size_t k = i; k < end; k++) {
            const dt_point *p = &curve->point[k];
            fprintf(out, "%c%.1f %.1f", k == i ? 'M' : 'L', across(figure, p->step),
                    down(panel, p->most));
        }
        for (size_t k = end; k-- > i;) {
            const dt_point *p = &curve->point[k];
            fprintf(out, "L%.1f %.1f", across(figure, p->step),
                    down(panel, fmax(p->least, panel->y.low)));
        }
        if (end > i) fputc('Z', out);
    }
    fprintf(out, "\"/>");
}

/* What the script draws and shows: step, mean, and least and most where they differ. */
static void write_values(FILE *out, const dt_curve *curve) {
    fprintf(out, " data-values=\"");
    for (size_t i = 0; i < curve->points; i++) {
        const dt_point *p = &curve->point[i];
        fprintf(out, "%s%.10g %.6g", i ? ";" : "", p->step, p->mean);
        if (curve->thinned && p->least < p->most) fprintf(out, " %.6g %.6g", p->least, p->most);
    }
    fprintf(out, "\"");
}

static void write_curve(FILE *out, const dt_figure *figure, const dt_panel *panel,
                        const dt_curve *curve) {
    enum { DOTS_MAX = 80 };
    fprintf(out, "<g class=\"curve c%d%s\" data-name=\"", (int)curve->colour,
            curve->dense ? " dense" : "");
    dt_html_text(out, curve->name);
    fprintf(out, "\"");
    write_values(out, curve);
    fputc('>', out);
    if (curve->thinned && curve->scattered) write_band(out, figure, panel, curve);
    write_line(out, figure, panel, curve);
    if (curve->points == 1 || (!curve->dense && curve->points <= DOTS_MAX))
        write_dots(out, figure, panel, curve);
    fprintf(out, "</g>\n");
}

/* ---- axes, keys and marks ---- */

static void write_key(FILE *out, const dt_panel *panel, const dt_curve *curve) {
    fprintf(out, "<span class=\"key%s c%d\">", curve->dense ? "" : " spots", (int)curve->colour);
    dt_html_text(out, curve->name);
    const bool large = fabs(curve->last) >= 1e4 && fabs(curve->last) < 1e12;
    fprintf(out, large ? " <b>%.0f%s</b></span>\n" : " <b>%.4g%s</b></span>\n", curve->last,
            panel->unit);
}

static void write_grid(FILE *out, const dt_figure *figure, const dt_panel *panel) {
    fprintf(out, "<path class=\"grid\" d=\"");
    for (size_t i = 0; i < figure->x.ticks; i++)
        fprintf(out, "M%.1f 0V%.0f", across(figure, figure->x.tick[i].value), EXTENT);
    for (size_t i = 0; i < panel->y.ticks; i++)
        fprintf(out, "M0 %.1fH%.0f", down(panel, panel->y.tick[i].value), EXTENT);
    fprintf(out, "\"/>\n");
}

static void write_ticks(FILE *out, const dt_axis *axis, const char *name, const char *from) {
    fprintf(out, "<div class=\"%s\">", name);
    for (size_t i = 0; i < axis->ticks; i++) {
        fprintf(out, "<i style=\"%s:%.2f%%\">%s</i>", from,
                100 * dt_axis_position(axis, axis->tick[i].value), axis->tick[i].label);
    }
    fprintf(out, "</div>\n");
}

static void write_restarts(FILE *out, const dt_figure *figure) {
    for (size_t i = 0; i < figure->restarts; i++) {
        const dt_restart *r = &figure->restart[i];
        fprintf(out,
                "<i class=\"mark\" data-step=\"%.0f\" style=\"left:%.2f%%\" title=\"started "
                "again at step %.0f",
                r->step, 100 * dt_axis_position(&figure->x, r->step), r->step);
        if (r->ranks > 0)
            fprintf(out, " on %lld rank%s", (long long)r->ranks, r->ranks == 1 ? "" : "s");
        fprintf(out, "\"></i>");
    }
}

void dt_html_chart(FILE *out, const dt_figure *figure, dt_panel_kind which) {
    const dt_panel *panel = &figure->panel[which];
    fprintf(out,
            "<figure class=\"chart\" data-first=\"%.10g\" data-last=\"%.10g\" data-low=\"%.6g\" "
            "data-high=\"%.6g\" data-unit=\"%s\"%s>\n<figcaption><h3>",
            figure->x.low, figure->x.high, panel->y.low, panel->y.high, panel->unit,
            panel->y.logarithmic ? " data-logarithmic" : "");
    dt_html_text(out, panel->title);
    fprintf(out, "%s</h3>\n<div class=\"keys\">",
            panel->y.logarithmic ? " <small>logarithmic</small>" : "");
    for (size_t i = 0; i < panel->curves; i++) write_key(out, panel, &panel->curve[i]);
    fprintf(out, "</div></figcaption>\n<div class=\"area\">\n");
    write_ticks(out, &panel->y, "ys", "bottom");
    fprintf(out,
            "<div class=\"plot\"><svg viewBox=\"0 0 %.0f %.0f\" preserveAspectRatio=\"none\" "
            "role=\"img\" aria-label=\"",
            EXTENT, EXTENT);
    dt_html_text(out, panel->title);
    fprintf(out, " over steps\">\n");
    write_grid(out, figure, panel);
    for (size_t i = 0; i < panel->curves; i++) write_curve(out, figure, panel, &panel->curve[i]);
    fprintf(out, "</svg>");
    write_restarts(out, figure);
    fprintf(out, "</div>\n");
    write_ticks(out, &figure->x, "xs", "left");
    fprintf(out, "</div>\n</figure>\n");
}
