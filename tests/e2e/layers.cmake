# Which folder may include which headers.
find_program(DTRAIN_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(DTRAIN_PYTHON NAMES python3 REQUIRED)
add_test(NAME e2e.layers
  COMMAND "${DTRAIN_PYTHON}" -B "${CMAKE_CURRENT_SOURCE_DIR}/layers.py" "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}")
set_tests_properties(e2e.layers PROPERTIES LABELS e2e TIMEOUT 300)
