# Find libduckdb: the target DuckDB::DuckDB, and DuckDB_BUNDLED, true where it came from FRESHET_DEPS
# (and has then to be installed along with us).
#
# A libduckdb of the system or of CMAKE_PREFIX_PATH comes first, if it is of the version asked for:
# a program is run to ask it, since neither header nor file name says so.

include(FindPackageHandleStandardArgs)

set(DuckDB_BUNDLED FALSE)
find_path(DuckDB_SYSTEM_INCLUDE_DIR duckdb.h)
find_library(DuckDB_SYSTEM_LIBRARY duckdb)
mark_as_advanced(DuckDB_SYSTEM_INCLUDE_DIR DuckDB_SYSTEM_LIBRARY)

if(DuckDB_SYSTEM_INCLUDE_DIR AND DuckDB_SYSTEM_LIBRARY)
    if(NOT DEFINED DuckDB_SYSTEM_VERSION)
        set(probe ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/duckdb_version.c)
        file(WRITE ${probe} "#include <duckdb.h>\n#include <stdio.h>\n"
            "int main(void) { return puts(duckdb_library_version()) < 0; }\n")
        try_run(probe_runs probe_compiles ${CMAKE_CURRENT_BINARY_DIR} ${probe}
            CMAKE_FLAGS -DINCLUDE_DIRECTORIES=${DuckDB_SYSTEM_INCLUDE_DIR}
            LINK_LIBRARIES ${DuckDB_SYSTEM_LIBRARY}
            RUN_OUTPUT_VARIABLE probe_says)
        if(probe_compiles AND probe_runs EQUAL 0)
            string(REGEX REPLACE "[v\n]" "" probe_says "${probe_says}")
            set(DuckDB_SYSTEM_VERSION "${probe_says}" CACHE INTERNAL "")
        endif()
    endif()
    if(DuckDB_SYSTEM_VERSION STREQUAL DuckDB_FIND_VERSION)
        set(DuckDB_INCLUDE_DIR ${DuckDB_SYSTEM_INCLUDE_DIR})
        set(DuckDB_LIBRARY ${DuckDB_SYSTEM_LIBRARY})
    else()
        message(STATUS "Passing over ${DuckDB_SYSTEM_LIBRARY}: its version is "
            "'${DuckDB_SYSTEM_VERSION}', and ${DuckDB_FIND_VERSION} is wanted")
    endif()
endif()

if(NOT DuckDB_LIBRARY AND EXISTS ${FRESHET_DEPS}/lib/libduckdb.so)
    set(DuckDB_BUNDLED TRUE)
    set(DuckDB_INCLUDE_DIR ${FRESHET_DEPS}/include)
    set(DuckDB_LIBRARY ${FRESHET_DEPS}/lib/libduckdb.so)
endif()
set(DuckDB_VERSION ${DuckDB_FIND_VERSION})

find_package_handle_standard_args(DuckDB
    REQUIRED_VARS DuckDB_LIBRARY DuckDB_INCLUDE_DIR
    VERSION_VAR DuckDB_VERSION
    REASON_FAILURE_MESSAGE "Run scripts/setup build, which installs it.")

if(DuckDB_FOUND AND NOT TARGET DuckDB::DuckDB)
    add_library(DuckDB::DuckDB SHARED IMPORTED)
    set_target_properties(DuckDB::DuckDB PROPERTIES
        IMPORTED_LOCATION ${DuckDB_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${DuckDB_INCLUDE_DIR})
endif()
