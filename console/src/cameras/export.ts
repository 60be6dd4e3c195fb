// The columns of the file, in the language of the page.
import type { CameraStatus } from '../gen/xueliang/v1/camera_pb';
import { i18n } from '../i18n/i18n';
import { stamp } from '../times';
import { kindWord, word } from '../words';
import { file } from './csv';
import { accountOf, byKind, revisit } from './status';
import { health, signalWord } from './told';

const ms = (us: bigint): number => Number(us / 1000n);
const seconds = (us: number): number => Math.round(us / 1000) / 1000;

const COLUMNS: [name: string, of: (camera: CameraStatus, division: string) => string | number][] = [
  ['id', (camera) => camera.cameraId],
  ['name', (camera) => camera.name],
  ['division', (_, division) => division],
  ['code', (camera) => camera.divisionPath.at(-1) ?? ''],
  ['address', (camera) => camera.address],
  ['longitude', (camera) => camera.position?.longitude ?? ''],
  ['latitude', (camera) => camera.position?.latitude ?? ''],
  ['state', (camera) => signalWord(camera.signal)],
  ['since', (camera) => (camera.sinceUnixUs > 0n ? stamp(ms(camera.sinceUnixUs)) : '')],
  ['blind', (camera) => i18n.global.t(camera.blind ? 'cameras.yes' : 'cameras.no')],
  ['health', (camera) => health(camera)],
  ['lost', (camera) => camera.criticalLost.map(kindWord).join('; ')],
  ['coverage', (camera) => byKind(camera.coverage).map((one) => `${kindWord(one.kind)}: ${word('Granted', one.granted)}`).join('; ')],
  ['interval', (camera) => seconds(revisit(camera.coverage)?.mostUs ?? 0) || ''],
  ['received', (camera) => accountOf(camera.accounting)?.received ?? ''],
  ['lookedAt', (camera) => accountOf(camera.accounting)?.lookedAt ?? ''],
  ['skipped', (camera) => accountOf(camera.accounting)?.skipped ?? ''],
  ['lostUnits', (camera) => accountOf(camera.accounting)?.lost ?? ''],
  ['acquisition', (camera) => word('Acquisition', camera.acquisition)],
  ['driver', (camera) => word('StreamSource', camera.source)],
];

/** The whole file. */
export function fileOf(cameras: readonly CameraStatus[], names: ReadonlyMap<string, string>): string {
  const head = COLUMNS.map(([name]) => i18n.global.t(`cameras.column.${name}`));
  const line = (camera: CameraStatus): (string | number)[] => {
    const code = camera.divisionPath.at(-1) ?? '';
    return COLUMNS.map(([, of]) => of(camera, names.get(code) ?? code));
  };
  return file([head, ...cameras.map(line)]);
}
