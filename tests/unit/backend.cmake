# src/backend
dt_unit_test(registry SOURCES test_registry.c LINK dt_backend dt_core)
# src/model
dt_unit_test(draw SOURCES test_draw.c LINK dt_model dt_sources dt_data dt_core)
