// A camera's state in words: the service's own for what the protocol numbers.
import { Signal, type CameraStatus, type NotLooked, type PictureTrouble } from '../gen/xueliang/v1/camera_pb';
import { i18n } from '../i18n/i18n';
import { precise } from '../times';
import { word } from '../words';

/** Whether it delivers; that nothing is known is something, too. */
export function signalWord(signal: Signal): string {
  return signal === Signal.UNSPECIFIED ? i18n.global.t('cameras.unknown') : word('Signal', signal);
}

/** What is wrong, each once; empty where nothing is. */
export function wrong(of: { signal: Signal; picture: PictureTrouble[]; notLooked: NotLooked }): string {
  const words = [
    of.signal === Signal.STREAMING ? '' : word('Signal', of.signal),
    ...of.picture.map((picture) => word('PictureTrouble', picture)),
    word('NotLooked', of.notLooked),
  ];
  return [...new Set(words.filter((one) => one !== ''))].join(' · ');
}

/** What its pictures are like, beside whether it delivers. */
export function health(camera: CameraStatus): string {
  if (camera.signal !== Signal.STREAMING) return camera.detail;
  return wrong(camera) || i18n.global.t('cameras.healthy');
}

/** A length of time of the protocol; empty for 0, which is not known. */
export function interval(us: bigint | number): string {
  return Number(us) > 0 ? precise(Number(us) / 1000) : '';
}
