/* A line on the terminal that is rewritten in place. */
#include "dtrain/ui/bar.h"

#include <math.h>
#include <stdio.h>

#include "dtrain/core/clock.h"
#include "dtrain/ui/terminal.h"

static void clear_line(void) { fputs("\r\033[K", stderr); }

void dt_bar_open(dt_bar *bar, dt_log_level level, double on_terminal, double elsewhere) {
    *bar = (dt_bar){.file = -1};
    if (level == DT_LOG_INFO) bar->terminal = dt_terminal_open(&bar->file);
    bar->interval = bar->terminal ? on_terminal : elsewhere;
    bar->next = dt_seconds_now() + bar->interval;
    if (bar->terminal) dt_log_before(clear_line);
}

void dt_bar_close(dt_bar *bar) {
    if (!bar->terminal) return;
    clear_line();
    dt_log_before(NULL);
    dt_terminal_close(&bar->file);
    bar->terminal = false;
}

bool dt_bar_due(dt_bar *bar, double now) {
    if (now < bar->next) return false;
    bar->next = now + bar->interval;
    return true;
}

size_t dt_bar_width(const dt_bar *bar) {
    enum { USUAL = 80 };
    const size_t columns = dt_terminal_columns(bar->file);
    return (columns ? columns : USUAL) - 1;
}

void dt_bar_show(const char *text) {
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
}

void dt_bar_brackets(char *text, size_t inner, double share) {
    const size_t full = (size_t)((double)inner * fmin(fmax(share, 0), 1));
    text[0] = '[';
    for (size_t i = 0; i < inner; i++) text[1 + i] = i < full ? '=' : i == full ? '>' : ' ';
    text[1 + inner] = ']';
    text[2 + inner] = '\0';
}
