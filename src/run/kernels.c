/* The kernels of a start, after the hosts in its row of the history. */
#include "dtrain/run/kernels.h"

#include <stdio.h>
#include <string.h>

static const char SEPARATOR[] = "; ";

void dt_kernels_append(char *host, size_t size, const char *backend, const char *description) {
    char text[DT_KERNELS_MAX];
    const size_t used = strlen(host);
    snprintf(text, sizeof text, "%s%s: %s", SEPARATOR, backend, description);
    if (used < size) snprintf(host + used, size - used, "%s", text);
}

/* It follows the hosts and the CPUs of a rank. */
const char *dt_kernels_of(const char *host) {
    for (int i = 0; i < 2 && host; i++) {
        host = strstr(host, SEPARATOR);
        if (host) host += strlen(SEPARATOR);
    }
    return host ? host : "";
}
