# Writes files into a C file, as texts of the array NAME, and how many they are as NAMES:
# cmake -DOUT=FILE -DNAME=NAME -DSOURCES=a.cl,b.cl -P bundle.cmake
string(REPLACE "," ";" SOURCES "${SOURCES}")
set(text "/* Made by bundle.cmake. */\n#include <stddef.h>\n\nextern const char *const ${NAME}[];\nextern const size_t ${NAME}S;\n\n")
set(list "")
foreach(source IN LISTS SOURCES)
  get_filename_component(name "${source}" NAME_WE)
  file(READ "${source}" bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND text "static const char ${name}[] = {${bytes}0};\n")
  string(APPEND list "${name}, ")
endforeach()
string(APPEND text "\nconst char *const ${NAME}[] = {${list}};\nconst size_t ${NAME}S = sizeof ${NAME} / sizeof *${NAME};\n")
file(WRITE "${OUT}" "${text}")
