# The second backend, where it is built.
if(NOT DTRAIN_HAS_OPENCL)
  return()
endif()
add_library(dtrain_opencl_fault MODULE opencl_fault.c)
target_link_libraries(dtrain_opencl_fault PRIVATE dt_flags OpenCL::OpenCL ${CMAKE_DL_LIBS})
target_compile_definitions(dtrain_opencl_fault PRIVATE CL_TARGET_OPENCL_VERSION=120)
dt_e2e(opencl 600 $<TARGET_FILE:dtrain_opencl_fault>)
set_tests_properties(e2e.opencl PROPERTIES ENVIRONMENT "${DTRAIN_POCL}" RESOURCE_LOCK opencl)
