// Every package that the page's build can hold is under a licence that docs/licences.md allows. Tools that only build or test
// the page are not shipped and not asked about.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A new entry goes to docs/licences.md first. */
const ALLOWED = new Set(['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', '(Apache-2.0 AND BSD-3-Clause)', '(MIT OR Apache-2.0)']);

const console_ = join(dirname(fileURLToPath(import.meta.url)), '..');
const lock = JSON.parse(readFileSync(join(console_, 'package-lock.json'), 'utf8'));
const shipped = Object.entries(lock.packages).filter(([path, one]) => path !== '' && !one.dev && !one.devOptional);
if (shipped.length < 10) throw new Error(`package-lock.json lists ${shipped.length} packages, which cannot be all`);
const refused = shipped.flatMap(([path]) => {
  const told = JSON.parse(readFileSync(join(console_, path, 'package.json'), 'utf8'));
  return ALLOWED.has(told.license) ? [] : [`  ${told.name} ${told.version}: ${told.license ?? 'no licence'}`];
});
if (refused.length > 0) {
  console.error(`packages with a licence that docs/licences.md does not allow:\n${refused.join('\n')}`);
  process.exit(1);
}
console.log(`${shipped.length} packages of the page have allowed licences`);
