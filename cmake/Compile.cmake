# How we compile. Two interface targets:
#   freshet_sanitize   the sanitizers and coverage; for everything that is compiled here
#   freshet_compile    that, and our warnings, which are errors; for our own code

add_library(freshet_sanitize INTERFACE)
if(FRESHET_SANITIZE)
    target_compile_options(freshet_sanitize INTERFACE
        -fsanitize=${FRESHET_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(freshet_sanitize INTERFACE -fsanitize=${FRESHET_SANITIZE})
endif()
if(FRESHET_COVERAGE)
    target_compile_options(freshet_sanitize INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(freshet_sanitize INTERFACE --coverage)
endif()
if(FRESHET_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
        message(FATAL_ERROR "The fuzz targets need clang: cmake --preset fuzz")
    endif()
    target_compile_options(freshet_sanitize INTERFACE -fsanitize=fuzzer-no-link)
endif()

# The tests are some 150 programs with the library in each: mold links one in a fraction of the time.
include(CheckLinkerFlag)
check_linker_flag(C -fuse-ld=mold FRESHET_HAS_MOLD)
if(FRESHET_HAS_MOLD AND NOT CMAKE_BUILD_TYPE STREQUAL Release)
    target_link_options(freshet_sanitize INTERFACE -fuse-ld=mold)
endif()

add_library(freshet_compile INTERFACE)
target_link_libraries(freshet_compile INTERFACE freshet_sanitize)
# POSIX 2008. A file that needs more of Linux says #define _GNU_SOURCE before its first #include.
target_compile_definitions(freshet_compile INTERFACE _DEFAULT_SOURCE)
target_compile_options(freshet_compile INTERFACE
    # A variable is named as its type (batch *batch): gcc's -Wshadow would call that shadowing.
    $<IF:$<C_COMPILER_ID:GNU>,-Wshadow=local,-Wshadow>
    -Wall -Wextra -Wpedantic -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
    -fvisibility=hidden -fno-common -fstack-protector-strong)
target_link_options(freshet_compile INTERFACE LINKER:-z,relro,-z,now)
