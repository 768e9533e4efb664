/* Turns the counts of an evaluation into panels of cells. */
#include "heat.h"

/* Levels end where the share of wrong answers reaches these. */
static const struct {
    double end;
    const char *name;
    unsigned colour;
    char symbol;
} LEVEL[DT_HEAT_LEVELS] = {
    {0, "none", 0xd9eed9, '.'},        {1e-5, "< 0.001 %", 0xfff6cf, ':'},
    {1e-4, "< 0.01 %", 0xfee79a, '-'}, {1e-3, "< 0.1 %", 0xfdc65e, '='},
    {1e-2, "< 1 %", 0xf79a3c, '+'},    {1e-1, "< 10 %", 0xe8602c, '*'},
    {0.5, "< 50 %", 0xc02a26, '%'},    {2, "more", 0x7a0c1e, '#'},
};

int dt_heat_level(const dt_count *cell) {
    if (cell->problems == 0) return -1;
    if (cell->right == cell->problems) return 0;
    const double wrong = (double)(cell->problems - cell->right) / (double)cell->problems;
    int level = 1;
    while (wrong >= LEVEL[level].end) level++;
    return level;
}

const char *dt_heat_name(int level) { return LEVEL[level].name; }

unsigned dt_heat_colour(int level) { return level < 0 ? 0xffffff : LEVEL[level].colour; }

char dt_heat_symbol(int level) { return level < 0 ? ' ' : LEVEL[level].symbol; }

const dt_count *dt_heat_at(const dt_heat *heat, size_t x, size_t y) {
    return &heat->panel.cell[y * heat->panel.columns + x];
}

/* The smallest stretch that holds all cells with problems; false if there are none. */
static bool fit(dt_heat *heat) {
    bool any = false;
    for (size_t y = 0; y < heat->panel.rows; y++) {
        for (size_t x = 0; x < heat->panel.columns; x++) {
            if (dt_heat_at(heat, x, y)->problems == 0) continue;
            if (!any || x < heat->x_first) heat->x_first = x;
            if (!any || x > heat->x_last) heat->x_last = x;
            if (!any) heat->y_first = y;
            heat->y_last = y;
            any = true;
        }
    }
    return any;
}

size_t dt_heat_list(dt_heat list[DT_GRID_PANELS_MAX], const dt_grid *grid) {
    dt_grid_panel panel[DT_GRID_PANELS_MAX];
    const size_t panels = grid->kind->panels(panel, grid->tally);
    size_t count = 0;
    for (size_t i = 0; i < panels; i++) {
        dt_heat heat = {.panel = panel[i]};
        if (fit(&heat)) list[count++] = heat;
    }
    return count;
}
