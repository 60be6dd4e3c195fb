// What stands on the map: cameras, thinned out to groups where many are close, and alerts that fire. Pure but for the index.
import Supercluster from 'supercluster';
import type { Row } from '../bus/messages';
import type { CameraStatus } from '../gen/xueliang/v1/camera_pb';
import { toneOf, type Tone } from '../cameras/status';

/** Longitude and latitude, WGS-84. */
export type Place = [longitude: number, latitude: number];

/** How near points are drawn apart: closer, they are one group with a number. Pixels. */
const RADIUS_PX = 44;
/** From here on every point is drawn. */
export const CLOSEST = 17;

interface Properties {
  id: string;
  tone: Tone;
}
interface Sum {
  bad: number;
  warn: number;
}

/** A camera, or several that are close. */
export type Spot =
  | { type: 'camera'; place: Place; id: string; tone: Tone }
  | { type: 'group'; place: Place; key: number; count: number; bad: number; warn: number };

/** Where cameras stand, for any part of the map and any scale. */
export class Points {
  readonly #index: Supercluster<Properties, Sum>;
  /** West, south, east and north of all; `undefined` where there is none. */
  readonly bounds: [number, number, number, number] | undefined;

  constructor(cameras: readonly CameraStatus[]) {
    this.#index = new Supercluster<Properties, Sum>({
      radius: RADIUS_PX,
      maxZoom: CLOSEST - 1,
      // Tiles of 256 pixels, as the map's are.
      extent: 256,
      map: ({ tone }) => ({ bad: tone === 'bad' ? 1 : 0, warn: tone === 'warn' ? 1 : 0 }),
      reduce: (sum, one) => {
        sum.bad += one.bad;
        sum.warn += one.warn;
      },
    });
    const points = cameras.flatMap((camera) => {
      const at = placeOf(camera.position);
      return at ? [{ type: 'Feature' as const, properties: { id: camera.cameraId, tone: toneOf(camera) }, geometry: { type: 'Point' as const, coordinates: at } }] : [];
    });
    this.#index.load(points);
    this.bounds = boundsOf(points.map((one) => one.geometry.coordinates));
  }

  /** What is drawn of a part of the map at a scale. */
  spots(west: number, south: number, east: number, north: number, zoom: number): Spot[] {
    return this.#index.getClusters([west, south, east, north], Math.floor(zoom)).map((one): Spot => {
      const [longitude = 0, latitude = 0] = one.geometry.coordinates;
      const place: Place = [longitude, latitude];
      const told = one.properties;
      if ('cluster' in told) {
        return { type: 'group', place, key: told.cluster_id, count: told.point_count, bad: told.bad, warn: told.warn };
      }
      return { type: 'camera', place, id: told.id, tone: told.tone };
    });
  }

  /** The scale at which a group falls apart. */
  opens(group: number): number {
    return Math.min(CLOSEST, this.#index.getClusterExpansionZoom(group));
  }
}

/** A place that can be drawn; `undefined` for none, and for what a map of the world has no room for. */
export function placeOf(at: { longitude: number; latitude: number } | undefined): Place | undefined {
  if (!at || !Number.isFinite(at.longitude) || !Number.isFinite(at.latitude)) return undefined;
  // Nobody's camera stands where both are 0: that is what a form says that nobody filled in.
  if (at.longitude === 0 && at.latitude === 0) return undefined;
  return Math.abs(at.latitude) > 85 || Math.abs(at.longitude) > 180 ? undefined : [at.longitude, at.latitude];
}

/** West, south, east and north of places; `undefined` where there is none. */
export function boundsOf(places: readonly Place[]): [number, number, number, number] | undefined {
  let bounds: [number, number, number, number] | undefined;
  for (const [x, y] of places) {
    bounds = bounds
      ? [Math.min(bounds[0], x), Math.min(bounds[1], y), Math.max(bounds[2], x), Math.max(bounds[3], y)]
      : [x, y, x, y];
  }
  return bounds;
}

/** Alerts at one place: the worst decides how it looks. */
export interface AlertSpot {
  place: Place;
  /** Worst first. */
  rows: Row[];
}

/** Alerts by place, and those that have none. */
export function alertSpots(rows: readonly Row[], of: (cameraId: string) => Place | undefined): { spots: AlertSpot[]; elsewhere: Row[] } {
  const spots = new Map<string, AlertSpot>();
  const elsewhere: Row[] = [];
  for (const row of [...rows].sort((a, b) => a.level - b.level || b.startedMs - a.startedMs)) {
    // Where it was said to be when it was raised; cameras are moved now and then.
    const place = row.position ?? of(row.cameraId);
    if (!place) {
      elsewhere.push(row);
      continue;
    }
    const key = place.join(' ');
    const spot = spots.get(key);
    if (spot) spot.rows.push(row);
    else spots.set(key, { place, rows: [row] });
  }
  return { spots: [...spots.values()], elsewhere };
}
