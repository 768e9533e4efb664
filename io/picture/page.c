/* Writes a run, or several laid over each other, as a page in HTML. */
#include "dtrain/picture/page.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dtrain/core/clock.h"
#include "dtrain/core/cost.h"
#include "dtrain/core/memory.h"
#include "dtrain/file/replace.h"
#include "html.h"

/* Made from page.css and page.js. */
extern const char *const PAGE_PART[];
enum { STYLE, SCRIPT };

/* Points of a curve: few enough that their means are smooth. */
enum { COLUMNS = 600 };

/* ---- parts that each run has: one table with a column for each ---- */

static void write_run_names(FILE *out, const dt_page *page) {
    if (page->plot->runs == 1) return;
    fprintf(out, "<thead><tr><th></th>");
    for (size_t i = 0; i < page->plot->runs; i++) {
        fprintf(out, "<th scope=\"col\"><span class=\"key c%d\">", (int)dt_run_colour(i));
        dt_html_text(out, page->plot->run[i].name);
        fprintf(out, "</span></th>");
    }
    fprintf(out, "</tr></thead>\n");
}

/* Of a run alone: boxes, in which the eye finds a number at once. */
static void write_boxes(FILE *out, const dt_page_run *run) {
    fprintf(out, "<dl class=\"facts\">\n");
    for (size_t i = 0; i < run->facts; i++) {
        fprintf(out, "<div><dt>%s</dt><dd>", run->fact[i].name);
        dt_html_text(out, run->fact[i].value);
        fprintf(out, "</dd></div>\n");
    }
    fprintf(out, "</dl>\n");
}

static const char *find_fact(const dt_page_run *run, const char *name) {
    for (size_t i = 0; i < run->facts; i++) {
        if (strcmp(run->fact[i].name, name) == 0) return run->fact[i].value;
    }
    return "";
}

/* Whether an earlier run has this fact, so that its row is there. */
static bool is_listed(const dt_page *page, size_t run, const char *name) {
    for (size_t i = 0; i < run; i++) {
        if (*find_fact(&page->run[i], name)) return true;
    }
    return false;
}

static void write_facts(FILE *out, const dt_page *page) {
    const size_t runs = page->plot->runs;
    if (runs == 1) {
        write_boxes(out, page->run);
        return;
    }
    fprintf(out, "<div class=\"wide\"><table>\n");
    write_run_names(out, page);
    for (size_t r = 0; r < runs; r++) {
        for (size_t i = 0; i < page->run[r].facts; i++) {
            const char *name = page->run[r].fact[i].name;
            if (is_listed(page, r, name)) continue;
            fprintf(out, "<tr><th scope=\"row\">%s</th>", name);
            for (size_t k = 0; k < runs; k++) {
                fprintf(out, "<td>");
                dt_html_text(out, find_fact(&page->run[k], name));
                fprintf(out, "</td>");
            }
            fprintf(out, "</tr>\n");
        }
    }
    fprintf(out, "</table></div>\n");
}

/* ---- settings ---- */

/* Whether people will want to see a setting: runs differ in it, or one run differs from the
 * defaults. */
static bool stands_out(const dt_page *page, const dt_setting *setting) {
    char first[DT_PATH_MAX], other[DT_PATH_MAX];
    dt_config_shown(first, sizeof first, page->run[0].config, setting);
    for (size_t i = 1; i < page->plot->runs; i++) {
        dt_config_shown(other, sizeof other, page->run[i].config, setting);
        if (strcmp(first, other) != 0) return true;
    }
    if (page->plot->runs > 1) return false;
    dt_config defaults;
    dt_config_defaults(&defaults);
    dt_config_shown(other, sizeof other, &defaults, setting);
    return strcmp(first, other) != 0;
}

static bool is_empty(const dt_page *page, const dt_setting *setting) {
    char value[DT_PATH_MAX];
    for (size_t i = 0; i < page->plot->runs; i++) {
        dt_config_shown(value, sizeof value, page->run[i].config, setting);
        if (*value) return false;
    }
    return true;
}

static void write_setting(FILE *out, const dt_page *page, const dt_setting *setting) {
    char value[DT_PATH_MAX];
    fprintf(out, "<tr%s><th scope=\"row\">%s</th>",
            stands_out(page, setting) ? " class=\"other\"" : "", setting->name);
    for (size_t i = 0; i < page->plot->runs; i++) {
        dt_config_shown(value, sizeof value, page->run[i].config, setting);
        fprintf(out, "<td>");
        dt_html_text(out, value);
        fprintf(out, "</td>");
    }
    fprintf(out, "</tr>\n");
}

/* A table for each group of settings. */
static void write_settings(FILE *out, const dt_page *page) {
    const char *section = "";
    fprintf(out, "<section>\n<h2>Settings</h2>\n<p class=\"note\">%s</p>\n<div class=\"groups\">\n",
            page->plot->runs > 1 ? "Marked: where the runs differ."
                                 : "Marked: what is not as by default.");
    for (size_t i = 0; i < dt_setting_count(); i++) {
        const dt_setting *setting = dt_setting_at(i);
        if (setting->scope == DT_SETTING_LOCAL || is_empty(page, setting)) continue;
        if (strcmp(section, setting->section) != 0) {
            fprintf(out, "%s<div class=\"wide\"><h3>%s</h3><table class=\"settings\">\n",
                    *section ? "</table></div>\n" : "", setting->section);
            write_run_names(out, page);
        }
        section = setting->section;
        write_setting(out, page, setting);
    }
    fprintf(out, "</table></div>\n</div>\n</section>\n");
}

/* ---- samples ---- */

static void write_sample(FILE *out, const dt_run_sample *sample) {
    /* HTML leaves out the first newline. */
    fprintf(out, "<h4>step %" PRId64 "</h4><pre>\n", sample->step);
    dt_html_text(out, sample->text);
    fprintf(out, "</pre>\n");
}

/* The newest, then earlier ones, evenly chosen if there are many. */
static void write_samples_of(FILE *out, const dt_run_log *log) {
    enum { EARLIER_MAX = 24 };
    write_sample(out, &log->sample[log->samples - 1]);
    const size_t earlier = log->samples - 1, shown = dt_min_size(earlier, EARLIER_MAX);
    if (!shown) return;
    fprintf(out, "<details><summary>%zu earlier", shown);
    if (shown < earlier) fprintf(out, " of %zu", earlier);
    fprintf(out, "</summary>\n");
    for (size_t i = shown; i-- > 0;) write_sample(out, &log->sample[i * earlier / shown]);
    fprintf(out, "</details>\n");
}

static void write_samples(FILE *out, const dt_page *page) {
    bool any = false;
    for (size_t i = 0; i < page->plot->runs; i++) {
        const dt_run_log *log = page->run[i].log;
        if (log->samples == 0) continue;
        if (!any) fprintf(out, "<section class=\"samples\">\n<h2>Samples</h2>\n");
        any = true;
        if (page->plot->runs > 1) {
            fprintf(out, "<h3>");
            dt_html_text(out, page->plot->run[i].name);
            fprintf(out, "</h3>\n");
        }
        write_samples_of(out, log);
    }
    if (any) fprintf(out, "</section>\n");
}

/* ---- starts ---- */

/* Hosts, CPUs and kernels are separated by "; ": each in a line of its own. */
static void write_host(FILE *out, const char *host) {
    char part[sizeof((dt_history_row *)0)->host];
    while (*host) {
        const char *end = strstr(host, "; ");
        const int length = (int)(end ? (size_t)(end - host) : strlen(host));
        snprintf(part, sizeof part, "%.*s", length, host);
        fprintf(out, "<div>");
        dt_html_text(out, part);
        fprintf(out, "</div>");
        host = end ? end + strlen("; ") : host + length;
    }
}

/* Time and energy, as far as they are known. */
static void write_used(FILE *out, const dt_history_row *row) {
    char energy[64];
    if (isfinite(row->seconds)) fprintf(out, "<div>%.0f s</div>", row->seconds);
    if (!isfinite(row->joules)) return;
    dt_cost_energy(energy, sizeof energy, row->joules);
    fprintf(out, "<div>%s (", energy);
    dt_html_text(out, row->energy_source);
    fprintf(out, ")</div>");
}

static void write_start(FILE *out, const dt_history_row *row) {
    fprintf(out, "<tr><td>");
    dt_html_text(out, row->time);
    fprintf(out,
            "</td><td class=\"number\">%" PRId64 "</td><td class=\"number\">%" PRId64
            "</td><td class=\"number\">%" PRId64 "</td><td>",
            row->step, row->ranks, row->nodes);
    write_host(out, row->host);
    fprintf(out, "</td><td>");
    write_used(out, row);
    fprintf(out, "</td><td>");
    dt_html_text(out, row->stopped);
    fprintf(out, "</td><td>");
    dt_html_text(out, row->changed);
    fprintf(out, "</td></tr>\n");
}

static void write_starts(FILE *out, const dt_page *page) {
    fprintf(out, "<section>\n<h2>Starts</h2>\n");
    for (size_t i = 0; i < page->plot->runs; i++) {
        const dt_metrics *m = page->plot->run[i].metrics;
        if (page->plot->runs > 1) {
            fprintf(out, "<h3>");
            dt_html_text(out, page->plot->run[i].name);
            fprintf(out, "</h3>\n");
        }
        fprintf(
            out,
            "<div class=\"wide\"><table class=\"starts\">\n<thead><tr><th>began (UTC)</th><th>at "
            "step</th><th>ranks</th><th>nodes</th><th>where, and what computed</th>"
            "<th>used</th><th>ended</th><th>changed</th></tr></thead>\n");
        for (size_t k = 0; k < m->history_count; k++) write_start(out, &m->history[k]);
        fprintf(out, "</table></div>\n");
    }
    fprintf(out, "</section>\n");
}

/* ---- the page ---- */

static void write_head(FILE *out, const dt_page *page) {
    /* Nothing from elsewhere is loaded, whatever the texts of a run hold. */
    fprintf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                 "<meta name=\"generator\" content=\"dtrain\">\n"
                 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                 "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                 "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    dt_html_text(out, page->plot->title);
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", PAGE_PART[STYLE]);
}

static void write_page(FILE *out, const dt_page *page, const dt_figure *figure) {
    char now[32];
    write_head(out, page);
    fprintf(out, "<header><h1>");
    dt_html_text(out, page->plot->title);
    fprintf(out, "</h1></header>\n<main>\n");
    write_facts(out, page);
    fprintf(out, "<p class=\"note hint\" hidden>Point at a curve for its values, draw over a part "
                 "to see it larger, click on a name to hide it. "
                 "<button type=\"button\" class=\"all\" hidden>Show all</button></p>\n"
                 "<section class=\"charts\">\n");
    for (int i = 0; i < DT_PANELS; i++) {
        if (figure->panel[i].curves > 0) dt_html_chart(out, figure, (dt_panel_kind)i);
    }
    fprintf(out, "</section>\n");
    write_samples(out, page);
    write_starts(out, page);
    write_settings(out, page);
    dt_utc_now(now, sizeof now);
    fprintf(out,
            "</main>\n<footer>dtrain %s, %s</footer>\n<script>\n%s</script>\n</body>\n</html>\n",
            page->version, now, PAGE_PART[SCRIPT]);
}

static dt_status write_file(const char *path, const char *bytes, size_t size) {
    dt_replacement out = {.file = -1};
    char reason[128];
    dt_status status;
    DT_TRY_DONE(dt_replacement_open(&out, path));
    const int error = dt_file_write(out.file, bytes, size, 0);
    DT_REQUIRE_DONE(!error, DT_ERR_IO, "cannot write %s: %s", path, dt_file_reason(error, reason));
    DT_TRY_DONE(dt_replacement_sync(&out));
    DT_TRY_DONE(dt_replacement_commit(&out));
done:
    dt_replacement_discard(&out);
    return status;
}

dt_status dt_page_write(const char *path, const dt_page *page) {
    dt_figure figure = {0};
    char *text = NULL;
    size_t size = 0;
    dt_status status;
    DT_TRY_DONE(dt_figure_create(&figure, page->plot, COLUMNS));
    FILE *out = open_memstream(&text, &size);
    DT_REQUIRE_DONE(out, DT_ERR_MEMORY, "there is no memory for the page");
    write_page(out, page, &figure);
    const bool failed = ferror(out) != 0;
    DT_REQUIRE_DONE(fclose(out) == 0 && !failed, DT_ERR_MEMORY, "there is no memory for the page");
    status = write_file(path, text, size);
done:
    free(text);
    dt_figure_destroy(&figure);
    return status;
}
