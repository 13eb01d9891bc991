//! Promises about the records of flavors.

use nusku::model::{Capability, Flavor, FlavorName, ProjectId};

use super::Store;

fn name(text: &str) -> FlavorName {
    FlavorName::parse(text).unwrap()
}

fn flavor(project: &str, text: &str) -> Flavor {
    let capabilities = vec![Capability::Claims, Capability::Durability];
    Flavor { project: ProjectId::new(project), name: name(text), capabilities }
}

pub async fn a_flavor_comes_back_as_it_was_put(store: Store) {
    let project = ProjectId::new("p");
    for capabilities in [Capability::ALL.to_vec(), Vec::new(), vec![Capability::HighThroughput]] {
        let new = Flavor { capabilities, ..flavor("p", "bulk") };
        store.flavors().put(&new).await.unwrap();
        assert_eq!(store.flavors().get(&project, &new.name).await, Ok(Some(new.clone())));
        assert_eq!(store.flavors().list(&project, None, 10).await, Ok(vec![new]));
    }
}

pub async fn projects_have_flavors_of_their_own(store: Store) {
    let odd = ["p", "", "p/", "zoë", "P"];
    for project in odd {
        store.flavors().put(&flavor(project, "bulk")).await.unwrap();
    }
    store.flavors().delete(&ProjectId::new("p"), &name("bulk")).await.unwrap();
    for project in odd {
        let expected = (project != "p").then(|| flavor(project, "bulk"));
        let project = ProjectId::new(project);
        assert_eq!(store.flavors().get(&project, &name("bulk")).await, Ok(expected.clone()));
        let listed = store.flavors().list(&project, None, 10).await;
        assert_eq!(listed, Ok(expected.into_iter().collect()));
    }
}

pub async fn flavors_are_listed_by_name_page_by_page(store: Store) {
    let project = ProjectId::new("p");
    for text in ["b", "a", "B", "c"] {
        store.flavors().put(&flavor("p", text)).await.unwrap();
        store.flavors().put(&flavor("other", text)).await.unwrap();
    }
    let page = async |marker, limit| {
        let page = store.flavors().list(&project, marker, limit).await.unwrap();
        page.into_iter().map(|flavor| flavor.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 10).await, ["B", "a", "b", "c"]);
    assert_eq!(page(None, 1).await, ["B"]);
    assert_eq!(page(Some("B"), 2).await, ["a", "b"]);
    assert!(page(Some("c"), 2).await.is_empty());
}

pub async fn a_deleted_flavor_is_gone(mut store: Store) {
    let project = ProjectId::new("p");
    store.flavors().put(&flavor("p", "kept")).await.unwrap();
    store.flavors().put(&flavor("p", "gone")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.flavors().delete(&project, &name("gone")).await, Ok(()));
    }
    store.reopen().await;
    assert_eq!(store.flavors().get(&project, &name("gone")).await, Ok(None));
    assert_eq!(store.flavors().list(&project, None, 10).await, Ok(vec![flavor("p", "kept")]));
}
