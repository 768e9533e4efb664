/* How people see a perplexity. */
#ifndef DTRAIN_UI_PERPLEXITY_H
#define DTRAIN_UI_PERPLEXITY_H

enum { DT_PERPLEXITY_SIZE = 32 };

/* With so many decimals; of a model that has diverged only the order of magnitude: "2.7e+43".
 * Returns text. */
const char *dt_perplexity_text(char text[DT_PERPLEXITY_SIZE], int decimals, double perplexity);

#endif
