# Turns text files into a C++ source with one std::string_view each, named as the file with "_" for ".".
# Run as: cmake -DOUTPUT=FILE -DINPUTS=FILE;FILE… -P embed.cmake

set(source "// Generated from reports/templates by embed.cmake.\n#include \"reports/templates.hpp\"\n\n")
string(APPEND source "namespace reports::templates {\n")
foreach(input IN LISTS INPUTS)
  get_filename_component(file_name "${input}" NAME)
  string(REPLACE "." "_" variable "${file_name}")
  file(READ "${input}" text)
  string(FIND "${text}" ")embedded\"" clash)
  if(NOT clash EQUAL -1)
    message(FATAL_ERROR "${input}: must not hold the end mark of the string that it becomes")
  endif()
  string(APPEND source "\nconst std::string_view ${variable} = R\"embedded(${text})embedded\";\n")
endforeach()
string(APPEND source "\n} // namespace reports::templates\n")
file(WRITE "${OUTPUT}" "${source}")
