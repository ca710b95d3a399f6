# What we link. scripts/setup has put DuckDB, yyjson and H3 into FRESHET_DEPS; the rest is Debian's.

if(DEFINED ENV{FRESHET_DEPS})
    set(default_deps $ENV{FRESHET_DEPS})
else()
    set(default_deps ${CMAKE_CURRENT_SOURCE_DIR}/.deps)
endif()
set(FRESHET_DEPS ${default_deps} CACHE PATH "Where scripts/setup has put DuckDB, yyjson and H3")

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(yaml REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(zlib REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(edit REQUIRED IMPORTED_TARGET libedit)
pkg_check_modules(rocksdb REQUIRED IMPORTED_TARGET rocksdb)
pkg_check_modules(microhttpd REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.75)
pkg_check_modules(rdkafka REQUIRED IMPORTED_TARGET rdkafka>=2.0.2)
find_package(DuckDB 1.5.6 EXACT REQUIRED)

# yyjson: two C files, compiled as they are, warnings off. Checking it for undefined behaviour would
# take half a minute of each sanitizer build and say nothing about our own code; ASan stays.
set(yyjson_dir ${FRESHET_DEPS}/src/yyjson)
if(NOT EXISTS ${yyjson_dir}/yyjson.c)
    message(FATAL_ERROR "No yyjson in ${yyjson_dir}: run scripts/setup build")
endif()
add_library(yyjson STATIC ${yyjson_dir}/yyjson.c)
target_include_directories(yyjson SYSTEM PUBLIC ${yyjson_dir})
target_link_libraries(yyjson PRIVATE freshet_sanitize)
set_source_files_properties(${yyjson_dir}/yyjson.c PROPERTIES
    COMPILE_OPTIONS "-w;-fvisibility=hidden;-fno-sanitize=undefined")

# H3: its C files, in the same way. HIDDEN: libfreshet.so gives none of its names away.
set(h3_dir ${FRESHET_DEPS}/src/h3)
if(NOT EXISTS ${h3_dir}/include/h3api.h)
    message(FATAL_ERROR "No H3 in ${h3_dir}: run scripts/setup build")
endif()
file(GLOB h3_sources ${h3_dir}/lib/*.c)
add_library(h3 STATIC ${h3_sources})
target_include_directories(h3 SYSTEM PUBLIC ${h3_dir}/include)
target_link_libraries(h3 PRIVATE freshet_sanitize m)
set_source_files_properties(${h3_sources} PROPERTIES
    COMPILE_OPTIONS "-w;-fvisibility=hidden;-fno-sanitize=undefined")
