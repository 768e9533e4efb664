/* Draws where a model is wrong with the characters of any terminal. */
#include "figure.h"
#include "heat.h"

static void print_cells(FILE *out, const dt_heat *heat, size_t columns) {
    enum { GUTTER = 6 };
    const size_t count = heat->x_last - heat->x_first + 1;
    const bool spread = GUTTER + 2 * count <= columns;
    for (size_t y = heat->y_last + 1; y-- > heat->y_first;) {
        if (heat->panel.y_name) {
            fprintf(out, "%*zu |", GUTTER - 2, heat->panel.number(y));
        } else {
            fprintf(out, "%*s", GUTTER, "|");
        }
        for (size_t x = heat->x_first; x <= heat->x_last; x++) {
            fprintf(out, "%s%c", spread ? " " : "",
                    dt_heat_symbol(dt_heat_level(dt_heat_at(heat, x, y))));
        }
        fputc('\n', out);
    }
    fprintf(out, "%*s %s: %zu to %zu%s%s\n", GUTTER, "", heat->panel.x_name,
            heat->panel.number(heat->x_first), heat->panel.number(heat->x_last),
            heat->panel.y_name ? ", upwards: " : "", heat->panel.y_name ? heat->panel.y_name : "");
}

dt_status dt_grid_print(FILE *out, const dt_grid *grid, size_t columns) {
    dt_heat list[DT_GRID_PANELS_MAX];
    const size_t count = dt_heat_list(list, grid);
    columns = columns < DT_GRID_COLUMNS_MIN ? DT_GRID_COLUMNS_MIN : columns;
    dt_title_print(out, grid->title, columns);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "\n%s\n", list[i].panel.title);
        print_cells(out, &list[i], columns);
    }
    fprintf(out, "\nwrong answers:\n");
    for (int level = 0; level < DT_HEAT_LEVELS; level++) {
        fprintf(out, "  %c %-12s%s", dt_heat_symbol(level), dt_heat_name(level),
                level % 4 == 3 ? "\n" : "");
    }
    DT_REQUIRE(fflush(out) == 0 && !ferror(out), DT_ERR_IO, "the grid cannot be written");
    return DT_OK;
}
