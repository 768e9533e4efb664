# The life of a run: it can stop and continue anywhere.

# dt_e2e_long(NAME SECONDS argument…): the same script, more of it; NAME.long.
function(dt_e2e_long name timeout)
  add_test(NAME e2e.${name}.long COMMAND bash "${CMAKE_CURRENT_SOURCE_DIR}/${name}.sh"
    $<TARGET_FILE:dtrain> "${MPIEXEC_EXECUTABLE}" ${ARGN})
  set_tests_properties(e2e.${name}.long PROPERTIES LABELS "e2e;long" TIMEOUT ${timeout} PROCESSORS 2 SKIP_RETURN_CODE 77
    ENVIRONMENT DTRAIN_LONG_TEST=1)
endfunction()

dt_e2e(kill 240)
dt_e2e_long(kill 2400 200)
dt_e2e(text 300)
dt_e2e(stop 180)
dt_e2e_long(stop 1800 100)
dt_e2e(term 240)
dt_e2e_long(term 600 30)
dt_e2e(signals 180)
dt_e2e(deadline 180)
dt_e2e(cadence 180)
dt_e2e(patience 180)
dt_e2e(adapter 240)
dt_e2e(quantise 180)
dt_e2e(change 180)
dt_e2e(foreign 240)
dt_e2e(alone 120)
dt_e2e(memory 180)

# These measure times: no other test runs beside them.
set_tests_properties(e2e.term e2e.term.long e2e.signals e2e.deadline PROPERTIES RUN_SERIAL TRUE)

# A library that makes a rank calculate wrongly.
add_library(dtrain_fault MODULE fault.c)
target_link_libraries(dtrain_fault PRIVATE PkgConfig::BLAS MPI::MPI_C ${CMAKE_DL_LIBS})
dt_e2e(diverge 240 $<TARGET_FILE:dtrain_fault>)
dt_e2e(lost 300 $<TARGET_FILE:dtrain_fault>)
dt_e2e(errors 240 $<TARGET_FILE:dtrain_fault>)
