use super::*;

const PEOPLE: &str = "CREATE TABLE \"people\" (\"id\" INT8_GENERATED NOT NULL, \
    \"na,me\" VARCHAR(5) COLLATE NOCASE DEFAULT ('a, (b'), \"age\" INT4, PRIMARY KEY (\"id\"), \
    CONSTRAINT \"old\" CHECK (\"age\" > 3) /*616765203e2033*/, \
    CONSTRAINT \"f\" FOREIGN KEY (\"age\") REFERENCES \"ages\" (\"n\") ON DELETE SET NULL \
    DEFERRABLE INITIALLY DEFERRED)";

fn people() -> Shape {
    Shape::read(PEOPLE).expect("the text is one of ours")
}

#[test]
fn a_table_s_text_is_read_and_written_again_as_it_was() {
    let shape = people();
    assert_eq!(
        format!("CREATE TABLE \"people\" ({})", shape.text()),
        PEOPLE
    );
    assert_eq!(shape.columns[1].name, "na,me");
    assert_eq!(shape.columns[1].default.as_deref(), Some("'a, (b'"));
}

#[test]
fn constraints_are_told_with_what_the_client_wrote() {
    let found = constraints(PEOPLE);
    assert_eq!(found[0].check.as_deref(), Some("age > 3"));
    let foreign = found[1].foreign.as_ref().expect("a foreign key");
    assert_eq!(foreign.columns, ["age"]);
    assert_eq!(
        (foreign.table.as_str(), foreign.referred.as_slice()),
        ("ages", &["n".to_owned()][..])
    );
    assert_eq!(foreign.on_delete.as_deref(), Some("SET NULL"));
    assert!(foreign.deferred);
}

#[test]
fn a_column_that_goes_takes_its_constraints_along() {
    let mut shape = people();
    shape
        .apply(&Edit::DropColumn("age".to_owned()))
        .expect("it is there");
    assert!(shape.constraints.is_empty());
    let missing = Edit::DropColumn("age".to_owned());
    assert_eq!(
        shape.apply(&missing),
        Err(Refusal::NoColumn("age".to_owned()))
    );
}

#[test]
fn columns_come_where_they_are_wanted() {
    let mut shape = people();
    let new = |name: &str| ColumnShape::new(name, "INT4");
    let edits = [
        Edit::AddColumn(new("first"), Place::First),
        Edit::AddColumn(new("third"), Place::After("id".to_owned())),
        Edit::AddColumn(new("last"), Place::Last),
    ];
    for edit in &edits {
        shape.apply(edit).expect("a place that there is");
    }
    let names: Vec<&str> = shape.columns.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["first", "id", "third", "na,me", "age", "last"]);
}
