# make install: headers, libfreshet.so, the binary, files for pkg-config and find_package; and where
# DuckDB is our own copy, libduckdb.so in lib/freshet, found relative to who asks for it. What is
# installed may be moved as a whole.

set(bundle_dir ${CMAKE_INSTALL_LIBDIR}/freshet)
if(DuckDB_BUNDLED)
    file(RELATIVE_PATH bin_to_bundle /${CMAKE_INSTALL_BINDIR} /${bundle_dir})
    set_target_properties(freshet PROPERTIES INSTALL_RPATH "$ORIGIN/freshet")
    set_target_properties(freshet_binary PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_bundle}")
    install(PROGRAMS ${DuckDB_LIBRARY} DESTINATION ${bundle_dir})
    install(FILES ${FRESHET_DEPS}/licenses/duckdb
        DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME LICENSE.duckdb)
else()
    set_target_properties(freshet freshet_binary PROPERTIES INSTALL_RPATH_USE_LINK_PATH TRUE)
endif()

# The Cassandra adapter, if scripts/build adapter has made it.
install(PROGRAMS ${CMAKE_CURRENT_SOURCE_DIR}/build/adapter/libfreshet_cassandra.so
    DESTINATION ${bundle_dir} OPTIONAL)

install(TARGETS freshet_binary RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS freshet LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/freshet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
foreach(linked yyjson h3) # statically
    install(FILES ${FRESHET_DEPS}/licenses/${linked}
        DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME LICENSE.${linked})
endforeach()

# The paths in these two are relative to the files themselves.
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
file(RELATIVE_PATH config_to_prefix /${CMAKE_INSTALL_LIBDIR}/cmake/freshet /)

configure_file(cmake/freshet.pc.in freshet.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/freshet.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

include(CMakePackageConfigHelpers)
configure_file(cmake/freshetConfig.cmake.in freshetConfig.cmake @ONLY)
write_basic_package_version_file(freshetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/freshetConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/freshetConfigVersion.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/freshet)
