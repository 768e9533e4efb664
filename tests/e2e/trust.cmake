# Checkpoints can be trusted: they are verified, replayed, and never lost when something fails while they are written.

add_library(faults_shim MODULE faults_shim.c)
target_link_libraries(faults_shim PRIVATE dt_flags)

# dt_e2e_faults(NAME rotating|all SECONDS label…)
function(dt_e2e_faults name how timeout)
  add_test(NAME e2e.${name} COMMAND /usr/bin/python3 -B "${CMAKE_CURRENT_SOURCE_DIR}/faults.py"
    $<TARGET_FILE:dtrain> $<TARGET_FILE:faults_shim> ${how})
  set_tests_properties(e2e.${name} PROPERTIES LABELS "${ARGN}" TIMEOUT ${timeout} PROCESSORS 2 SKIP_RETURN_CODE 77)
endfunction()
dt_e2e_faults(faults rotating 240 e2e)
dt_e2e_faults(faults.long all 1500 e2e long)

dt_e2e(disk 180 $<TARGET_FILE:faults_shim>)
dt_e2e(lock 180)
dt_e2e(verify 300)
