/* Energy, money and CO2, and how they are written. */
#include "dtrain/core/cost.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dtrain/core/json.h"

static const double JOULES_PER_KWH = 3.6e6, SECONDS_PER_HOUR = 3600;

dt_cost dt_cost_of(const dt_config *config, double joules, double node_seconds) {
    const double kwh = joules / JOULES_PER_KWH, hours = node_seconds / SECONDS_PER_HOUR;
    const double hourly = config->price_hour + config->units_per_hour * config->price_unit;
    dt_cost cost = {.joules = joules, .money = NAN, .co2_grams = NAN};
    if (config->price_kwh > 0 || hourly > 0)
        cost.money = (config->price_kwh > 0 ? kwh * config->price_kwh : 0) + hours * hourly;
    if (config->co2 > 0) cost.co2_grams = kwh * config->co2;
    return cost;
}

bool dt_cost_asks_energy(const dt_config *config) {
    return config->price_kwh > 0 || config->co2 > 0;
}

void dt_cost_energy(char *text, size_t size, double joules) {
    if (joules < SECONDS_PER_HOUR) {
        snprintf(text, size, "%.3g J", joules);
    } else if (joules < JOULES_PER_KWH) {
        snprintf(text, size, "%.3g Wh", joules / SECONDS_PER_HOUR);
    } else {
        snprintf(text, size, "%.*f kWh", joules < 100 * JOULES_PER_KWH ? 2 : 0,
                 joules / JOULES_PER_KWH);
    }
}

/* Two digits behind the point, and three digits in all where there are none before it. */
static void money_text(char *text, size_t size, double money, const char *currency) {
    if (money >= 1) {
        snprintf(text, size, "%.2f %s", money, currency);
    } else {
        snprintf(text, size, "%.3g %s", money, currency);
    }
}

static void append(char *text, size_t size, const char *part) {
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used ? ", " : "", part);
}

void dt_cost_text(char *text, size_t size, const dt_cost *cost, const dt_config *config,
                  const char *source) {
    char part[256], energy[32];
    text[0] = '\0';
    if (isfinite(cost->joules)) {
        dt_cost_energy(energy, sizeof energy, cost->joules);
        snprintf(part, sizeof part, "%s%s%s%s", energy, source ? " (" : "", source ? source : "",
                 source ? ")" : "");
        append(text, size, part);
    }
    if (isfinite(cost->money)) {
        money_text(part, sizeof part, cost->money, config->currency);
        append(text, size, part);
    }
    if (isfinite(cost->co2_grams)) {
        const bool much = cost->co2_grams >= 1000;
        snprintf(part, sizeof part, "%.3g %s CO2", much ? cost->co2_grams / 1000 : cost->co2_grams,
                 much ? "kg" : "g");
        append(text, size, part);
    }
}

void dt_cost_usage_text(char *text, size_t size, const dt_usage *usage, const dt_config *config) {
    const dt_cost cost = dt_cost_of(config, usage->joules, usage->node_seconds);
    char source[256];
    snprintf(source, sizeof source, "%s", usage->source);
    const size_t missing = usage->starts - usage->measured, used = strlen(source);
    if (missing > 0)
        snprintf(source + used, sizeof source - used, "; without %zu of %zu starts", missing,
                 usage->starts);
    dt_cost_text(text, size, &cost, config, source);
}

void dt_cost_usage_json(char *text, size_t size, const dt_usage *usage, const dt_config *config) {
    const dt_cost cost = dt_cost_of(config, usage->joules, usage->node_seconds);
    char number[5][DT_JSON_NUMBER];
    snprintf(text, size,
             ",\"joules\":%s,\"energy_source\":\"%s\",\"run_seconds\":%s,\"node_seconds\":%s,"
             "\"money\":%s,\"currency\":\"%s\",\"co2_grams\":%s",
             dt_json_number(number[0], 9, usage->joules), usage->source,
             dt_json_number(number[1], 9, usage->seconds),
             dt_json_number(number[2], 9, usage->node_seconds),
             dt_json_number(number[3], 9, cost.money), config->currency,
             dt_json_number(number[4], 9, cost.co2_grams));
}
