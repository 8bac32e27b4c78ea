# What every target of the project shares: language, warnings, output folder, sanitizers, tests.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# -O3 buys nothing here and makes the build a third longer.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

option(NBD_WERROR "Treat warnings as errors" ON)
set(NBD_SANITIZE "" CACHE STRING "Comma-separated sanitizers, e.g. address,undefined or thread")

add_library(nbd_settings INTERFACE)
add_library(nbd::settings ALIAS nbd_settings)
target_include_directories(nbd_settings INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(nbd_settings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align)
# GCC 12 warns of what it makes of std::string itself when it inlines much of it (GCC bugs 105329 and 105651).
target_compile_options(nbd_settings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# GCC 14 sees small vectors of bytes as smaller than they are once it has inlined their copies (GCC bugs 107852 and 110498).
target_compile_options(nbd_settings INTERFACE
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_GREATER_EQUAL:$<CXX_COMPILER_VERSION>,14>>:-Wno-array-bounds;-Wno-stringop-overflow>)
if(NBD_WERROR)
  target_compile_options(nbd_settings INTERFACE -Werror)
endif()
if(NBD_SANITIZE)
  # Sanitizer instrumentation defeats GCC's flow analysis, which then warns of what cannot happen.
  target_compile_options(nbd_settings INTERFACE -fsanitize=${NBD_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all -Wno-maybe-uninitialized)
  target_link_options(nbd_settings INTERFACE -fsanitize=${NBD_SANITIZE})
endif()
if(NBD_SANITIZE MATCHES thread)
  # ThreadSanitizer knows nothing of fences; Asio's are beside mutexes, which are enough for our use.
  target_compile_definitions(nbd_settings INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()

find_program(NBD_CCACHE ccache)
if(NBD_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${NBD_CCACHE}")
endif()

# nbd_room(NAME SOURCES … LINK …): the one library of a room, target nbd_NAME, alias nbd::NAME.
function(nbd_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(nbd_${name} STATIC ${ARG_SOURCES})
  add_library(nbd::${name} ALIAS nbd_${name})
  target_link_libraries(nbd_${name} PUBLIC nbd::settings ${ARG_LINK})
endfunction()

# nbd_tests(NAME SOURCES … LINK …): one GoogleTest executable, its tests registered with CTest.
function(nbd_tests name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gmock GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE
    NBD_SOURCE_DIR="${PROJECT_SOURCE_DIR}" NBD_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  # Tables of tests take a third less time to compile unoptimised, and hardly more to run: what they test is optimised.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O0>)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()
