//! A constant-velocity Kalman filter of a box with uneven time steps.
//!
//! Centre, width and height are filtered apart: with the diagonal noises of SORT and ByteTrack the full filter's
//! covariance never couples them, so four filters of two states equal the one of eight.

use xueliang_base::{geometry::Rect, time::Mono};

/// Acceleration noise of the centre, box sizes per second squared: a walker and a braking car both stay below.
const CENTRE_NOISE: f64 = 1.5;
/// Acceleration noise of the size.
const SIZE_NOISE: f64 = 0.3;
/// Standard deviation of a detected edge, box sizes (SORT's 1/20).
const MEASURE: f64 = 0.05;
/// Standard deviation of an unknown speed, box sizes per second.
const SPEED: f64 = 4.0;
/// Least size, shares of the picture.
const LEAST: f64 = 1e-4;

/// Position and speed along one axis, with their covariance.
#[derive(Debug, Clone, Copy)]
struct Axis {
    p: f64,
    v: f64,
    pp: f64,
    pv: f64,
    vv: f64,
}

impl Axis {
    fn new(p: f64, scale: f64, speed: f64) -> Self {
        let pp = (2.0 * MEASURE * scale).powi(2);
        Self { p, v: 0.0, pp, pv: 0.0, vv: (speed * scale).powi(2) }
    }
    fn predict(&mut self, dt: f64, noise: f64) {
        let q = noise * noise;
        self.p += self.v * dt;
        self.pp += 2.0 * dt * self.pv + dt * dt * self.vv + q * dt.powi(3) / 3.0;
        self.pv += dt * self.vv + q * dt * dt / 2.0;
        self.vv += q * dt;
    }
    fn update(&mut self, z: f64, noise: f64) {
        let s = self.pp + noise * noise;
        let (kp, kv, y) = (self.pp / s, self.pv / s, z - self.p);
        self.p += kp * y;
        self.v += kv * y;
        self.vv -= kv * self.pv;
        self.pv *= 1.0 - kp;
        self.pp *= 1.0 - kp;
    }
}

/// The filtered box.
#[derive(Debug, Clone)]
pub(super) struct BoxFilter {
    at: Mono,
    cx: Axis,
    cy: Axis,
    w: Axis,
    h: Axis,
}

impl BoxFilter {
    pub(super) fn new(at: Mono, rect: &Rect) -> Self {
        let (w, h) = (f64::from(rect.width()).max(LEAST), f64::from(rect.height()).max(LEAST));
        let centre = rect.centre();
        Self {
            at,
            cx: Axis::new(f64::from(centre.x), w, SPEED),
            cy: Axis::new(f64::from(centre.y), h, SPEED),
            w: Axis::new(w, w, 0.5),
            h: Axis::new(h, h, 0.5),
        }
    }
    /// Moves on to `at`. After a gap the speed says nothing; a lost object does not go on growing.
    pub(super) fn predict(&mut self, at: Mono, gap: bool, lost: bool) {
        let dt = at.since(self.at).as_secs_f64();
        let (w, h) = (self.w.p.max(LEAST), self.h.p.max(LEAST));
        if gap {
            *self = Self { at, ..Self::new(at, &self.rect()) };
            return;
        }
        if lost {
            self.w.v = 0.0;
            self.h.v = 0.0;
        }
        self.at = at;
        self.cx.predict(dt, CENTRE_NOISE * w);
        self.cy.predict(dt, CENTRE_NOISE * h);
        self.w.predict(dt, SIZE_NOISE * w);
        self.h.predict(dt, SIZE_NOISE * h);
        self.w.p = self.w.p.max(LEAST);
        self.h.p = self.h.p.max(LEAST);
    }
    /// Takes a detection of the moment predicted to.
    pub(super) fn update(&mut self, rect: &Rect) {
        let (w, h) = (self.w.p.max(LEAST), self.h.p.max(LEAST));
        let centre = rect.centre();
        self.cx.update(f64::from(centre.x), MEASURE * w);
        self.cy.update(f64::from(centre.y), MEASURE * h);
        self.w.update(f64::from(rect.width()).max(LEAST), MEASURE * w);
        self.h.update(f64::from(rect.height()).max(LEAST), MEASURE * h);
    }
    #[expect(clippy::cast_possible_truncation, reason = "shares of the picture fit an f32")]
    pub(super) fn rect(&self) -> Rect {
        let (w, h) = (self.w.p.max(LEAST) / 2.0, self.h.p.max(LEAST) / 2.0);
        let (x, y) = (self.cx.p, self.cy.p);
        Rect::new((x - w) as f32, (y - h) as f32, (x + w) as f32, (y + h) as f32)
    }
}
