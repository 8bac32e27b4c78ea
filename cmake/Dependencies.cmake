# Everything the project takes from the system. ci/bootstrap installs it; versions are Debian 12's or newer.

find_package(Threads REQUIRED)
find_package(Boost 1.81 CONFIG REQUIRED COMPONENTS headers json url)
find_package(GTest REQUIRED)
find_package(rapidcheck REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(pugixml REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBNBD REQUIRED IMPORTED_TARGET libnbd)
pkg_check_modules(LIBTINS REQUIRED IMPORTED_TARGET libtins)
# Only for `nbd-resize-client mount`.
pkg_check_modules(FUSE3 IMPORTED_TARGET fuse3>=3.12)

# yaml-cpp renamed its target in 0.8.
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp INTERFACE IMPORTED)
  target_link_libraries(yaml-cpp::yaml-cpp INTERFACE yaml-cpp)
endif()

find_path(MUSTACHE_INCLUDE_DIR kainjow/mustache.hpp REQUIRED)
