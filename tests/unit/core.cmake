# src/core
dt_unit_test(config SOURCES test_config.c LINK dt_core)
dt_unit_test(cost SOURCES test_cost.c LINK dt_core)
dt_unit_test(line SOURCES test_line.c LINK dt_core)
dt_unit_test(json SOURCES test_json.c LINK dt_core)
dt_unit_test(limit SOURCES test_limit.c kernel_files.c LINK dt_core)
dt_unit_test(memory SOURCES test_memory.c LINK dt_core)
dt_unit_test(random SOURCES test_random.c LINK dt_core)
dt_unit_test(status SOURCES test_status.c LINK dt_core pthread)
