# The portal's files stand in the binary (.incbin); with -DPORTAL=OFF the table is empty and no Node is needed.
if(PORTAL AND EXISTS ${CMAKE_SOURCE_DIR}/web/dist/index.html)
    file(GLOB_RECURSE DIST CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/dist/*)
    add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/assets.S ${CMAKE_BINARY_DIR}/assets.c
        COMMAND node ${CMAKE_SOURCE_DIR}/tools/embed-assets.mjs ${CMAKE_SOURCE_DIR}/web/dist ${CMAKE_BINARY_DIR}
        DEPENDS ${DIST} ${CMAKE_SOURCE_DIR}/tools/embed-assets.mjs)
    add_library(assets STATIC ${CMAKE_BINARY_DIR}/assets.S ${CMAKE_BINARY_DIR}/assets.c)
else()
    file(WRITE ${CMAKE_BINARY_DIR}/assets.c "#include \"http/http.h\"\nextern const struct http_asset portal_assets[];\nextern const int portal_asset_count;\nconst struct http_asset portal_assets[1];\nconst int portal_asset_count = 0;\n")
    add_library(assets STATIC ${CMAKE_BINARY_DIR}/assets.c)
endif()
target_link_libraries(assets PUBLIC http)
