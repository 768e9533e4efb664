/* Replaces the OpenCL backend in a build without OpenCL or CLBlast. */
#include <stdio.h>

#include "entries.h"

static dt_status probe(bool *usable, char *why, size_t size) {
    *usable = false;
    snprintf(why, size, "this dtrain was built without OpenCL");
    return DT_OK;
}

static dt_status open_absent(dt_backend **backend, size_t local_rank) {
    (void)local_rank;
    *backend = NULL;
    DT_RAISE(
        DT_ERR_UNAVAILABLE,
        "this dtrain was built without OpenCL; install OpenCL's headers and loader and CLBlast "
        "(Debian: ocl-icd-opencl-dev libclblast-dev), and build it again with cmake "
        "-DDTRAIN_OPENCL=ON");
}

const dt_backend_entry entry_opencl = {
    .name = "opencl",
    .help = "a device by OpenCL and CLBlast; not built",
    .priority = 20,
    .needs = "a GPU",
    .probe = probe,
    .open = open_absent,
};
