# src/data
dt_unit_test(analysis SOURCES test_analysis.c LINK dt_data dt_core)
dt_unit_test(problem SOURCES test_problem.c LINK dt_data dt_core)
dt_unit_test(format SOURCES test_format.c LINK dt_data dt_core)
dt_unit_test(chat SOURCES test_chat.c LINK dt_data dt_core)
dt_unit_test(lines SOURCES test_lines.c LINK dt_data dt_core)
dt_unit_test(tokenizer SOURCES test_tokenizer.c LINK dt_data dt_core)
dt_unit_test(deal SOURCES test_deal.c LINK dt_data dt_core)
dt_unit_test(pack SOURCES test_pack.c LINK dt_data dt_core)
