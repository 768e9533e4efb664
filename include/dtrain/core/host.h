/* The name of this machine. */
#ifndef DTRAIN_HOST_H
#define DTRAIN_HOST_H

enum { DT_HOST_MAX = 64 };

/* "unknown" where the system does not tell; a longer name is cut. */
void dt_host_name(char host[DT_HOST_MAX]);

#endif
