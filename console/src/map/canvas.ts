// The map as it is drawn: Leaflet in one place. Markers are kept by key, so that what has not changed keeps its element, and
// with it the focus of whoever came to it by key.
import L from 'leaflet';
import type { MapTiles } from '../gen/xueliang/v1/vocabulary_pb';
import type { Place } from './points';

/** Something at a place. */
export interface Mark {
  key: string;
  place: Place;
  /** What decides how it looks; a mark of another look is drawn anew. */
  look: string;
  /** Its element, made when it is drawn. */
  make: () => HTMLElement;
  /** What it is, for who does not see it, and beside it when pointed at. */
  label: string;
  /** Whether the label stands there always. */
  named?: boolean;
  /** Whether it is come to by key. */
  keyboard?: boolean;
  /** Drawn above others. */
  above: number;
  act?: () => void;
}

/** The world of a part of the map. */
export interface View {
  west: number;
  south: number;
  east: number;
  north: number;
  zoom: number;
}

/** Where nothing is known of where anything is: the country. */
const NOWHERE: L.LatLngTuple = [35, 105];
const NOWHERE_ZOOM = 4;
/** A single camera is not looked at from closer by than its street. */
const NEAR_ZOOM = 16;

export class Canvas {
  readonly #map: L.Map;
  #popup: L.Popup | undefined;
  readonly #moved: () => void;
  readonly #marks = new Map<string, { marker: L.Marker; mark: Mark }>();

  constructor(element: HTMLElement, maxZoom: number, moved: () => void) {
    this.#map = L.map(element, {
      attributionControl: false,
      zoomControl: false,
      maxZoom,
      minZoom: 3,
      // Whoever asks for calm gets it; and a page that is tested is not waited for.
      zoomAnimation: !matchMedia('(prefers-reduced-motion: reduce)').matches,
      fadeAnimation: false,
      markerZoomAnimation: false,
    });
    L.control.scale({ imperial: false, position: 'bottomleft' }).addTo(this.#map);
    this.#map.setView(NOWHERE, NOWHERE_ZOOM);
    this.#map.on('moveend zoomend resize', moved);
    this.#moved = moved;
  }

  /** Lays a map below, and tells when none of its tiles can be had. */
  tiles(map: MapTiles, failed: () => void): void {
    const layer = L.tileLayer(map.url, { maxNativeZoom: map.maxZoom, maxZoom: this.#map.getMaxZoom() });
    let any = false;
    layer.on('tileload', () => {
      any = true;
    });
    layer.on('tileerror', () => {
      if (any) return;
      // None has come so far: better an honest schematic than grey squares.
      layer.remove();
      failed();
    });
    layer.addTo(this.#map);
  }

  get view(): View {
    const bounds = this.#map.getBounds();
    const [west, south, east, north] = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
    return { west, south, east, north, zoom: this.#map.getZoom() };
  }

  /** Shows all of an area. */
  fit(bounds: [number, number, number, number]): void {
    const [west, south, east, north] = bounds;
    this.#map.fitBounds([[south, west], [north, east]], { padding: [60, 60], maxZoom: NEAR_ZOOM });
  }
  /** Shows a place from near by, or from as near as it is asked for. */
  go(place: Place, zoom = NEAR_ZOOM): void {
    this.#map.setView([place[1], place[0]], Math.max(zoom, this.#map.getZoom()));
  }
  closer(by: number): void {
    this.#map.setZoom(this.#map.getZoom() + by);
  }
  resized(): void {
    this.#map.invalidateSize({ animate: false });
  }
  /** Opens something at a place. */
  open(place: Place, content: HTMLElement): void {
    this.#popup = L.popup({ maxHeight: 260, autoPan: true, closeButton: false }).setLatLng([place[1], place[0]]).setContent(content);
    this.#popup.openOn(this.#map);
  }
  /** Closes it; whether anything was open. */
  close(): boolean {
    const opened = this.#popup?.isOpen() ?? false;
    this.#map.closePopup();
    return opened;
  }

  /** Draws these marks and no others. */
  draw(wanted: readonly Mark[]): void {
    const keys = new Set(wanted.map((mark) => mark.key));
    for (const [key, known] of this.#marks) {
      if (keys.has(key)) continue;
      known.marker.remove();
      this.#marks.delete(key);
    }
    for (const mark of wanted) {
      const known = this.#marks.get(mark.key);
      if (known?.mark.look === mark.look && known.mark.label === mark.label) {
        known.mark = mark;
        known.marker.setLatLng([mark.place[1], mark.place[0]]);
      } else {
        // Whoever came to it by key stays there.
        const held = known !== undefined && known.marker.getElement() === document.activeElement;
        known?.marker.remove();
        this.#add(mark);
        if (held) this.#marks.get(mark.key)?.marker.getElement()?.focus({ preventScroll: true });
      }
    }
  }

  #add(mark: Mark): void {
    const marker = L.marker([mark.place[1], mark.place[0]], {
      icon: L.divIcon({ className: 'mark-place', html: mark.make(), iconSize: [0, 0] }),
      keyboard: mark.keyboard ?? false,
      interactive: mark.act !== undefined,
      zIndexOffset: mark.above,
      riseOnHover: true,
    });
    const act = (): void => {
      this.#marks.get(mark.key)?.mark.act?.();
    };
    marker.on('click', act);
    // Leaflet makes a click of it only where a popup is bound.
    marker.on('keypress', (event) => {
      if (event.originalEvent.key !== 'Enter' && event.originalEvent.key !== ' ') return;
      // The space bar would move what scrolls.
      event.originalEvent.preventDefault();
      act();
    });
    if (mark.label !== '' && mark.act) {
      const label = document.createElement('span');
      label.textContent = mark.label;
      marker.bindTooltip(label, { permanent: mark.named ?? false, direction: 'right', offset: [14, 0], className: 'mark-label' });
    }
    marker.addTo(this.#map);
    const element = marker.getElement();
    if (mark.keyboard) {
      element?.setAttribute('aria-label', mark.label);
      // Leaflet calls what takes a key a button only where it is an image.
      element?.setAttribute('role', 'button');
    } else {
      // It stands in the list as well.
      element?.setAttribute('aria-hidden', 'true');
    }
    element?.setAttribute('data-mark', mark.key);
    this.#marks.set(mark.key, { marker, mark });
  }

  remove(): void {
    // The end of a resize is told 200 ms after it, also of a map that is gone by then.
    this.#map.off('moveend zoomend resize', this.#moved);
    this.#map.remove();
  }
}
