//! The fonts of the slate: three faces of Inter in the binary, the system's fonts for scripts that Inter lacks.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use resvg::usvg::fontdb::{Database, FaceInfo, Family, ID, Query, Source, Style};
use resvg::usvg::{FallbackSelectionFn, FontResolver};

/// The family of a template that names none.
pub(super) const DEFAULT_FAMILY: &str = "Inter";

/// Licence: assets/fonts/OFL.txt.
const BUNDLED: [&[u8]; 3] = [
    include_bytes!("../../assets/fonts/Inter-Medium.otf"),
    include_bytes!("../../assets/fonts/Inter-SemiBold.otf"),
    include_bytes!("../../assets/fonts/InterDisplay-Bold.otf"),
];

/// Every font, the bundled ones first. Files of the system are only mapped while they are read.
pub(super) fn database() -> Arc<Database> {
    static DATABASE: OnceLock<Arc<Database>> = OnceLock::new();
    DATABASE.get_or_init(|| Arc::new(load())).clone()
}

fn load() -> Database {
    let mut database = Database::new();
    for font in BUNDLED {
        database.load_font_source(Source::Binary(Arc::new(font)));
    }
    let mut system = Database::new();
    system.load_system_fonts();
    let mut faces: Vec<FaceInfo> = system.faces().cloned().collect();
    faces.sort_by_key(|face| Reverse(suits(face)));
    for face in faces {
        database.push_face_info(face);
    }
    database.set_sans_serif_family(DEFAULT_FAMILY);
    database.set_serif_family(DEFAULT_FAMILY);
    database
}

/// How well a face of the system stands beside Inter. The first face that has a missing character is taken, so the
/// order of the database is the order of preference.
fn suits(face: &FaceInfo) -> (bool, bool, bool, Reverse<u16>) {
    let sans = face.families.first().is_some_and(|(name, _)| name.contains("Sans"));
    (!face.monospaced, sans, face.style == Style::Normal, Reverse(face.weight.0.abs_diff(500)))
}

/// Which family draws each character that the text's own font lacks; none where no font has it.
pub(super) type Families = BTreeMap<char, Option<String>>;

/// Notes what the renderer asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Fallbacks(Arc<Mutex<Families>>);

impl Fallbacks {
    /// What was noted.
    pub(super) fn take(&self) -> Families {
        self.0.lock().map(|mut noted| std::mem::take(&mut *noted)).unwrap_or_default()
    }

    /// Finds fonts as usual, in the weight of the text where the fallback has it, and notes what it finds.
    pub(super) fn resolver(&self) -> FontResolver<'static> {
        let (noted, find) = (self.clone(), FontResolver::default_fallback_selector());
        let select_fallback: FallbackSelectionFn<'static> = Box::new(move |c, used, database| {
            let found = find(c, used, database);
            let family = found.and_then(|id| Some(database.face(id)?.families.first()?.0.clone()));
            if let Ok(mut noted) = noted.0.lock() {
                noted.entry(c).or_insert(family);
            }
            found.map(|found| in_weight_of(database, used, found).unwrap_or(found))
        });
        FontResolver { select_font: FontResolver::default_font_selector(), select_fallback }
    }
}

fn in_weight_of(database: &Database, used: &[ID], found: ID) -> Option<ID> {
    let (base, face) = (database.face(*used.first()?)?, database.face(found)?);
    let families = [Family::Name(&face.families.first()?.0)];
    let query = Query { families: &families, weight: base.weight, stretch: base.stretch, style: base.style };
    database.query(&query).filter(|id| !used.contains(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_faces_are_found_by_the_names_that_templates_use() {
        let database = database();
        for (family, weight) in [("Inter", 500), ("Inter", 600), ("Inter Display", 700)] {
            let query = Query {
                families: &[Family::Name(family)],
                weight: resvg::usvg::fontdb::Weight(weight),
                ..Query::default()
            };
            let face = database.query(&query).and_then(|id| database.face(id)).expect("a face");
            assert_eq!(face.weight.0, weight, "{family}");
            assert!(matches!(face.source, Source::Binary(_)), "{family} {weight} comes from the system");
        }
    }
}
