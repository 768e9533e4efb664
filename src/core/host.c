/* The name of this machine. */
#include "dtrain/core/host.h"

#include <stdio.h>
#include <unistd.h>

void dt_host_name(char host[DT_HOST_MAX]) {
    if (gethostname(host, DT_HOST_MAX) != 0) snprintf(host, DT_HOST_MAX, "unknown");
    host[DT_HOST_MAX - 1] = '\0';
}
