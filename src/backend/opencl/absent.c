/* In the place of the OpenCL backend where OpenCL or CLBlast was not there when dtrain was built.
 */
#include "dtrain/backend/backend.h"

dt_status dt_backend_opencl_devices(dt_device **device, size_t *count) {
    *device = NULL;
    *count = 0;
    return DT_OK;
}

dt_status dt_backend_opencl_open(dt_backend **backend, size_t local_rank) {
    (void)local_rank;
    *backend = NULL;
    DT_RAISE(
        DT_ERR_UNAVAILABLE,
        "this dtrain was built without OpenCL; install OpenCL's headers and loader and CLBlast "
        "(Debian: "
        "ocl-icd-opencl-dev libclblast-dev), and build it again with cmake -DDTRAIN_OPENCL=ON");
}
