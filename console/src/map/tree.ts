// The divisions as a tree, made of the paths of the cameras that are seen: how many cameras each has, how many of them are in
// trouble, and how many alerts fire.
import type { CameraStatus } from '../gen/xueliang/v1/camera_pb';
import { toneOf } from '../cameras/status';
import { placeOf, Points, type Place } from './points';

export interface Branch {
  code: string;
  name: string;
  cameras: number;
  /** Cameras in it that are blind or of which some rule is not covered. */
  troubled: number;
  firing: number;
  children: Branch[];
  /** Cameras that lie in it and in no division below it. */
  own: CameraStatus[];
}

/** The roots. `firing` says how many alerts fire at a camera. */
export function treeOf(
  cameras: readonly CameraStatus[], names: ReadonlyMap<string, string>, firing: ReadonlyMap<string, number>,
): Branch[] {
  const all = new Map<string, Branch>();
  const roots: Branch[] = [];
  const branch = (code: string, above: Branch | undefined): Branch => {
    let known = all.get(code);
    if (!known) {
      known = { code, name: names.get(code) ?? code, cameras: 0, troubled: 0, firing: 0, children: [], own: [] };
      all.set(code, known);
      (above?.children ?? roots).push(known);
    }
    return known;
  };
  for (const camera of cameras) {
    const tone = toneOf(camera);
    let above: Branch | undefined;
    for (const code of camera.divisionPath) {
      above = branch(code, above);
      above.cameras += 1;
      above.troubled += tone === 'bad' || tone === 'warn' ? 1 : 0;
      above.firing += firing.get(camera.cameraId) ?? 0;
    }
    above?.own.push(camera);
  }
  const order = (some: Branch[]): void => {
    some.sort((a, b) => (a.code < b.code ? -1 : 1));
    for (const one of some) order(one.children);
  };
  order(roots);
  return roots;
}

/** A line of the tree as it is shown. */
export interface TreeLine {
  branch: Branch;
  depth: number;
  open: boolean;
}

/** The lines of the tree as far as it is open. */
export function linesOf(roots: readonly Branch[], open: ReadonlySet<string>, depth = 0): TreeLine[] {
  return roots.flatMap((branch) => {
    const shown = open.has(branch.code);
    return [{ branch, depth, open: shown }, ...(shown ? linesOf(branch.children, open, depth + 1) : [])];
  });
}

/** Names to write on a schematic: each division in the middle of its own cameras, those with most cameras first. */
export function namesOf(roots: readonly Branch[], most: number): { code: string; name: string; place: Place }[] {
  const found: { code: string; name: string; place: Place; count: number }[] = [];
  const visit = (branch: Branch): void => {
    const places = branch.own.flatMap((camera) => {
      const place = placeOf(camera.position);
      return place ? [place] : [];
    });
    if (places.length > 0) {
      const mean = (of: 0 | 1): number => places.reduce((sum, place) => sum + place[of], 0) / places.length;
      found.push({ code: branch.code, name: branch.name, place: [mean(0), mean(1)], count: places.length });
    }
    branch.children.forEach(visit);
  };
  roots.forEach(visit);
  return found.sort((a, b) => b.count - a.count).slice(0, most);
}

/** West, south, east and north of the cameras of a division and those below it; `undefined`: none has a place. */
export function areaOf(branch: Branch): [number, number, number, number] | undefined {
  const all = (one: Branch): CameraStatus[] => [...one.own, ...one.children.flatMap(all)];
  return new Points(all(branch)).bounds;
}
