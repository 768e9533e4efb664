# src/backend
dt_unit_test(registry SOURCES test_registry.c LINK dt_backend dt_core)
