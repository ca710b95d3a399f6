# make package: a Debian package of all that is installed, with the systemd unit, the documents, and the
# licences of what is in it. scripts/package makes PACKAGE_MADE and runs CPack; Depends come from
# dpkg-shlibdeps. What only a package has is the component `package`, which make install leaves alone.

set(made ${CMAKE_CURRENT_BINARY_DIR}/package)
set(packaging ${CMAKE_CURRENT_SOURCE_DIR}/packaging)

install(FILES ${packaging}/freshet@.service
    DESTINATION lib/systemd/system COMPONENT package EXCLUDE_FROM_ALL)
install(FILES ${made}/copyright ${made}/changelog.gz ${made}/changelog.Debian.gz
    DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT package EXCLUDE_FROM_ALL)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT package EXCLUDE_FROM_ALL
    PATTERN internals EXCLUDE)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT package EXCLUDE_FROM_ALL)
install(FILES ${packaging}/debian/lintian-overrides
    DESTINATION share/lintian/overrides RENAME freshet COMPONENT package EXCLUDE_FROM_ALL)
# The licences are all in `copyright`, and libraries of others come with symbols that nobody needs.
install(CODE "
    set(root \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}\")
    file(GLOB licences \"\${root}/${CMAKE_INSTALL_DOCDIR}/LICENSE*\")
    if(licences)
        file(REMOVE \${licences})
    endif()
    file(GLOB libraries \"\${root}/${CMAKE_INSTALL_LIBDIR}/freshet/*.so\")
    foreach(library IN LISTS libraries)
        execute_process(COMMAND strip --strip-unneeded \"\${library}\" COMMAND_ERROR_IS_FATAL ANY)
        file(CHMOD \"\${library}\"
            PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
    endforeach()
    " COMPONENT package EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME freshet)
set(CPACK_PACKAGE_CONTACT "The Freshet developers <freshet@localhost>")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/package)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_CMAKE_PROJECTS
    "${CMAKE_CURRENT_BINARY_DIR};freshet;ALL;/;${CMAKE_CURRENT_BINARY_DIR};freshet;package;/")
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz) # a minute's work; FRESHET_PACKAGE_COMPRESSION of scripts/package
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${FRESHET_DEPS}/lib)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "tzdata")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "streaming feature sets for machine learning")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Freshet computes features for machine learning, from streams and from
history, in one process. A feature set is declared once, in YAML: where rows
come from, one SQL query over them, the keys, the timestamp, the features.
.
This package has the command freshet, the library, the adapter for Cassandra,
and a systemd unit: freshet@NAME runs /etc/freshet/NAME.yaml.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${packaging}/debian/postinst ${packaging}/debian/prerm ${packaging}/debian/postrm
    ${packaging}/debian/triggers ${packaging}/debian/shlibs)
include(CPack)
