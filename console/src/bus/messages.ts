// What the page and its worker say to each other. Plain values only: they are copied from one to the other.
import type { GapReason, Kind, KindClass, Lane, Level, AlertState, Resolution } from '../gen/xueliang/v1/alert_pb';
import type { NotLooked, PictureTrouble, Signal } from '../gen/xueliang/v1/camera_pb';

/** The latest state of an alert, as a list shows it. Times are milliseconds since 1970. */
export interface Row {
  id: string;
  revision: number;
  kind: Kind;
  kindClass: KindClass;
  level: Level;
  lane: Lane;
  state: AlertState;
  resolution: Resolution;
  cameraId: string;
  cameraName: string;
  divisionName: string;
  address: string;
  /** Longitude and latitude, WGS-84; absent where the place is not registered. */
  position?: [number, number];
  zone: string;
  startedMs: number;
  lastSeenMs: number;
  /** 0 while it fires. */
  resolvedMs: number;
  count: number;
  /** From the arrival of the picture that decided it until it was handed to the connection; 0 where that was not told. */
  ageMs: number;
  late: boolean;
  /** Not on disk yet. */
  volatile: boolean;
  drill: boolean;
  publisher: string;
  /** Cameras behind a recorder, switch or line that is down. */
  camerasBehind: number;
  hasStill: boolean;
}

/** Something was missed: what and when is said as the service says it. */
export interface Missed {
  number: number;
  reason: GapReason;
  atMs: number;
  /** By level; undefined where nobody knows. */
  counts: { level: Level; count: number }[] | undefined;
  fromMs: number;
  toMs: number;
}

/** How the stream is. */
export interface Status {
  /** Items come. */
  connected: boolean;
  /** What is shown may be out of date. */
  stale: boolean;
  /** The list is complete: a snapshot has come to its end, or the stream goes on after one. */
  complete: boolean;
  /** When the service was heard last; 0: never. */
  heardMs: number;
  /** Why the connection is gone; empty while it is not. */
  reason: string;
  /** When it is tried again. */
  againMs: number;
  /** Asking again changes nothing by itself. */
  refused: boolean;
  /** Gaps that nobody has put away, at most the latest ten. */
  missed: Missed[];
  /** Minor alerts that were counted instead of delivered, since the page was opened. */
  summarised: number;
  /** Alerts that no longer fit in the list. */
  dropped: number;
  /** The service's clock less this machine's, milliseconds; 0 until that was measured. */
  clockMs: number;
  serverVersion: string;
}

/** A camera that sees nothing, or that lost the coverage of a critical kind. */
export interface Trouble {
  cameraId: string;
  name: string;
  blind: boolean;
  signal: Signal;
  sinceMs: number;
  picture: PictureTrouble[];
  notLooked: NotLooked;
  criticalLost: Kind[];
  detail: string;
}

/** What cameras see, as told last. */
export interface Sight {
  cameras: number;
  blind: number;
  criticalLost: number;
  /** Not blind, with a rule that is not covered. */
  notCovered: number;
  troubles: Trouble[];
  /** When it was told; 0: not yet. */
  toldMs: number;
  /** Whether nodes report at all. */
  reported: boolean;
}

/** Why nobody is signed in any more. */
export type Ended =
  /** Somebody signed out. */
  | 'signed-out'
  /** Likewise, but the service did not answer: the session may go on there until its time is over. */
  | 'unconfirmed'
  /** The service no longer knows the session. */
  | 'ended';

/** Who is signed in, as far as it decides what the worker asks for. */
export interface Seated {
  /** The session's token; empty where the service lets everybody in. */
  token: string;
  /** Its account, or whoever the service takes everybody for. */
  account: string;
  /** Whether alerts may be read. */
  alerts: boolean;
  /** Whether cameras may be seen. */
  cameras: boolean;
  /** What they see of the town. */
  scope: string;
}

/** From the worker to a page. */
export type ToPage =
  /** Everything, in place of what the page has. */
  | { type: 'all'; rows: Row[]; status: Status; sight: Sight; upTo: number }
  /** What changed. `fresh`: ids that fire and were not there before, for whoever rings bells. */
  | { type: 'changes'; rows: Row[]; removed: string[]; fresh: string[]; upTo: number }
  | { type: 'status'; status: Status }
  | { type: 'sight'; sight: Sight }
  /** Whether this page rings for all pages of the browser. */
  | { type: 'bell'; yours: boolean }
  /** The session of this browser: said to each page first, and when it changes. Without a token there is none. */
  | { type: 'session'; token: string | undefined; ended: Ended | undefined }
  /** What may be seen and done has changed: ask for it again. */
  | { type: 'rights' };

/** From a page to the worker. */
export type ToWorker =
  /** All that was told up to here has been painted where somebody can see it. */
  | { type: 'painted'; upTo: number }
  /** A gap was put away by somebody. */
  | { type: 'seen-gap'; number: number }
  /** Whether this page can make itself heard. */
  | { type: 'bell'; ready: boolean }
  /** The service has said who this is. */
  | { type: 'signed-in'; seated: Seated }
  /** The session of this token is over. */
  | { type: 'signed-out'; token: string; ended: Ended }
  | { type: 'alive' }
  | { type: 'bye' };
