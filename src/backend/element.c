/* Checks the element types of tensors. */
#include "element.h"

static const char *name_of(dt_element element) {
    switch (element) {
    case DT_ELEMENT_FLOAT32: return "float32";
    case DT_ELEMENT_INT32: return "int32";
    case DT_ELEMENT_BFLOAT16: return "bfloat16";
    case DT_ELEMENT_Q8_0: return "q8_0";
    case DT_ELEMENT_NF4: return "nf4";
    }
    return "unknown";
}

dt_status element_expect(const char *backend, const char *operation, dt_element expected,
                         const dt_tensor *tensor, size_t count) {
    for (size_t i = 0; i < count; i++) {
        DT_REQUIRE(!tensor[i].buffer || tensor[i].element == expected, DT_ERR_UNAVAILABLE,
                   "the backend %s does %s on %s, not on %s; choose another --backend", backend,
                   operation, name_of(expected), name_of(tensor[i].element));
    }
    return DT_OK;
}
