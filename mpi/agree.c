/* Gives one rank's error to all ranks, so that none waits for a rank that has failed. */
#include <stdint.h>
#include <stdio.h>

#include "internal.h"

/* An error as it travels. */
typedef struct {
    int32_t code;
    char location[96];
    char text[1600];
} report;

static void write_report(report *own, dt_status local) {
    own->code = (int32_t)local;
    if (dt_error_code() == local) {
        snprintf(own->location, sizeof own->location, "%s", dt_error_location());
        snprintf(own->text, sizeof own->text, "%s", dt_error_text());
    } else {
        snprintf(own->text, sizeof own->text, "an error of kind %d without a message", (int)local);
    }
}

dt_status dt_comm_agree(dt_comm *comm, dt_status local) {
    if (comm->size == 1) return local;
    int lowest = local != DT_OK ? (int)comm->rank : (int)comm->size;
    DT_TRY(DT_MPI(MPI_Allreduce(MPI_IN_PLACE, &lowest, 1, MPI_INT, MPI_MIN, comm->all)));
    if (lowest == (int)comm->size) return DT_OK;
    report first = {0};
    if (lowest == (int)comm->rank) write_report(&first, local);
    DT_TRY(DT_MPI(MPI_Bcast(&first, sizeof first, MPI_BYTE, lowest, comm->all)));
    if (lowest == (int)comm->rank) return local;
    if (lowest == 0) return dt_error_adopt((dt_status)first.code, first.location, first.text);
    char text[sizeof first.text + MPI_MAX_PROCESSOR_NAME + 32];
    snprintf(text, sizeof text, "rank %d on %s: %s", lowest, dt_comm_host(comm, (size_t)lowest),
             first.text);
    return dt_error_adopt((dt_status)first.code, first.location, text);
}
