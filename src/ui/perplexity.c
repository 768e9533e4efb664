/* Writes a perplexity, which is the exponential of a loss and so may have many digits. */
#include "perplexity.h"

#include <stdio.h>

const char *dt_perplexity_text(char text[DT_PERPLEXITY_SIZE], int decimals, double perplexity) {
    if (perplexity < 1e6) {
        snprintf(text, DT_PERPLEXITY_SIZE, "%.*f", decimals, perplexity);
    } else {
        snprintf(text, DT_PERPLEXITY_SIZE, "%.3g", perplexity);
    }
    return text;
}
