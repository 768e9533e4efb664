/* What a run costs, in energy, money and CO2, from what it has used and from its settings. */
#ifndef DTRAIN_COST_H
#define DTRAIN_COST_H

#include "dtrain/core/config.h"
#include "dtrain/core/metrics.h"

/* NaN: not known. */
typedef struct {
    double joules, money, co2_grams;
} dt_cost;

/* Money is that of the energy plus that of rented nodes, where prices are given; it is not known if
 * the energy is priced and not known. */
dt_cost dt_cost_of(const dt_config *config, double joules, double node_seconds);

/* Whether the settings ask for what energy costs. */
bool dt_cost_asks_energy(const dt_config *config);

/* "812 J", "12.3 Wh", "4.56 kWh" */
void dt_cost_energy(char *text, size_t size, double joules);

/**
 * "12.3 Wh (RAPL), 0.38 JPY, 5.6 g CO2": what is known, "" if nothing is.
 *
 * @param source  how the joules were found out; NULL: it is not said
 */
void dt_cost_text(char *text, size_t size, const dt_cost *cost, const dt_config *config,
                  const char *source);

/* The same of all starts of a run, and how many of them are not in it. */
void dt_cost_usage_text(char *text, size_t size, const dt_usage *usage, const dt_config *config);

/* The same as members of a JSON object, each after a comma: null where it is not known. */
void dt_cost_usage_json(char *text, size_t size, const dt_usage *usage, const dt_config *config);

#endif
