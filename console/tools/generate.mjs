// Writes the clients of the services into src/gen, from the descriptors that the repository keeps beside its Rust code
// (a test there holds them to the .proto files). The generator is Buf's own and speaks protoc's plug-in protocol.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';

const console_ = join(dirname(fileURLToPath(import.meta.url)), '..');
const descriptors = readFileSync(join(console_, '../proto/src/gen/xueliang.v1.bin'));
const set = fromBinary(FileDescriptorSetSchema, descriptors);

const request = create(CodeGeneratorRequestSchema, {
  protoFile: set.file,
  fileToGenerate: set.file.map((file) => file.name),
  parameter: 'target=ts',
});
const plugin = join(console_, 'node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es');
const run = spawnSync(process.execPath, [plugin], {
  input: toBinary(CodeGeneratorRequestSchema, request),
  maxBuffer: 64 << 20,
});
if (run.status !== 0) throw new Error(`protoc-gen-es failed: ${run.stderr}`);
const response = fromBinary(CodeGeneratorResponseSchema, run.stdout);
if (response.error) throw new Error(`protoc-gen-es: ${response.error}`);

const out = join(console_, 'src/gen');
rmSync(out, { recursive: true, force: true });
for (const file of response.file) {
  const path = join(out, file.name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, file.content);
}
