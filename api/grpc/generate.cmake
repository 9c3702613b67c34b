# Makes C of the .proto files, below the build folder's proto/: include()d by CMakeLists.txt, when it is
# configured, so that tools that read the sources find the headers.
#
# For C, texts are bytes: protobuf-c would hand them over without their length, and two readers of a text with
# a NUL would differ; on the wire both are the same. A map is a list of pairs there, too. Services are left
# out, as a call named Register would be a member named register.
find_program(PROTOC_C protoc-c REQUIRED)
set(proto_source ${CMAKE_SOURCE_DIR}/api/grpc/proto)
# As users import them, which is also how they are installed; here they are in one folder.
set(proto_files registry_service.proto discovery_service.proto muster/v1/registry.proto
    grpc/health/v1/health.proto grpc/reflection/v1/reflection.proto grpc/reflection/v1alpha/reflection.proto)
set(proto_out ${CMAKE_BINARY_DIR}/proto)
set(proto_sources ${proto_out}/descriptors.c)
set(table "")
set(content "/* Made from api/grpc/proto by generate.cmake. */\n#include \"api/grpc/descriptors.h\"\n\n")
set(count 0)
foreach(file ${proto_files})
    get_filename_component(name ${file} NAME_WE)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${proto_source}/${name}.proto)
    file(READ ${proto_source}/${name}.proto text)
    if(file MATCHES "v1alpha") # the same under another name
        string(REPLACE "package grpc.reflection.v1;" "package grpc.reflection.v1alpha;" text "${text}")
    endif()
    file(CONFIGURE OUTPUT ${proto_out}/files/${file} CONTENT "${text}" @ONLY)
    string(REGEX REPLACE "service [A-Za-z]+ {[^}]*}" "" text "${text}")
    string(REPLACE "string " "bytes " text "${text}")
    string(REGEX REPLACE "map<[^>]*>" "repeated Pair" text "${text}")
    if(text MATCHES "repeated Pair")
        string(APPEND text "message Pair { bytes key = 1; bytes value = 2; }\n")
    endif()
    if(NOT file MATCHES "v1alpha")
        file(WRITE ${proto_out}/c/${name}.proto "${text}")
        execute_process(COMMAND ${PROTOC_C} -I${proto_out}/c --c_out=${proto_out} ${proto_out}/c/${name}.proto
            COMMAND_ERROR_IS_FATAL ANY)
        list(APPEND proto_sources ${proto_out}/${name}.pb-c.c)
    endif()
    # As they are, for reflection.
    execute_process(COMMAND ${PROTOC_C} -I${proto_out}/files --descriptor_set_out=${proto_out}/${count}.set
        ${proto_out}/files/${file} COMMAND_ERROR_IS_FATAL ANY)
    file(READ ${proto_out}/${count}.set hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND content "static const uint8_t set_${count}[] = {${bytes}};\n")
    string(APPEND table "    {\"${file}\", set_${count}, sizeof set_${count}},\n")
    math(EXPR count "${count} + 1")
endforeach()
file(CONFIGURE OUTPUT ${proto_out}/descriptors.c @ONLY
    CONTENT "${content}\nconst struct descriptor descriptors[] = {\n${table}};\nconst size_t descriptors_count = ${count};\n")
